/** Methods that take plain data, whatever it looks like. */

import { assert, assertEquals } from "@std/assert";
import { type BasePeer, guard, method, plain } from "../mod.ts";
import * as slim from "../slim.ts";
import { eachPeer } from "./faces.ts";
import { request, result } from "./scripted_socket.ts";
import { notification, open } from "./stage.ts";

const looks: unknown[] = [
  { token: "abc" },
  { values: [1, 2] },
  { __jsonrpc_marshaled: 1, handle: 7 },
  { __jsonrpc_marshaled: 0, handle: 7 },
  [{ deep: { __jsonrpc_marshaled: 1, handle: 7 } }],
];

eachPeer(
  "plain lets a method have what looks like a stream or a reference as the data that it is",
  async (face) => {
    const seen: unknown[] = [];
    const see = (...params: unknown[]) => void seen.push(params);
    const takes = {
      plain: plain((...params: unknown[]) => see(...params)),
      guarded: guard(
        () => true,
        plain((...params: unknown[]) => see(...params)),
      ),
      plainGuarded: plain(
        guard(() => true, (...params: unknown[]) => see(...params)),
      ),
      declared: method({}, plain((...params: unknown[]) => see(...params))),
      plainDeclared: plain(
        method({}, (...params: unknown[]) => see(...params)),
      ),
      both: method(
        {},
        guard(() => true, plain((...params: unknown[]) => see(...params))),
      ),
    };
    await using it = await open(face, { local: takes });
    const named = { token: "abc", object: looks[2], toJSON: looks[2] };
    for (const name of Object.keys(takes)) {
      assertEquals(await it.ask(request(1, name, looks)), [result(1, null)]);
      it.socket.receive(notification(name, named));
      const [params, [byName] = []] = seen.splice(0) as unknown[][];
      assertEquals(params, looks, name);
      assertEquals(byName, named);
      for (const value of [...params!, ...Object.values(byName!)]) {
        assert(typeof value !== "function");
        assert(!(Symbol.asyncIterator in Object(value)));
      }
    }
    // Nobody was asked, nor given anything back.
    assertEquals(it.socket.take(), []);
  },
);

eachPeer(
  "plain marks one method, and 28,000 references in its arguments are no more than data",
  async (face) => {
    const { [2]: reference } = looks;
    await using it = await open(face, {
      local: {
        count: plain((values: unknown[]) => values.length),
        kindOf: (value: unknown) => typeof value,
      },
    });
    const many = Array<unknown>(28_000).fill(reference);
    assertEquals(
      await it.ask(request(1, "count", [many])),
      [result(1, 28_000)],
    );
    assertEquals(
      await it.ask(request(2, "kindOf", [reference])),
      [result(2, "function")],
    );
  },
);

eachPeer(
  "What plain was given is returned to another peer as it was",
  async (face) => {
    const stored: unknown[] = [];
    const local = {
      put: plain(function (this: BasePeer, ...values: unknown[]) {
        assertEquals(this.call.method, "put");
        stored.push(...values);
      }),
      all: () => stored,
    };
    await using one = await open(face, { local });
    await using other = await open(face, { local });
    assertEquals(await one.ask(request(1, "put", looks)), [result(1, null)]);
    assertEquals(await other.ask(request(1, "all")), [result(1, looks)]);
    assertEquals(other.thrown, []);
  },
);

Deno.test("plain of both doors is one function", () => {
  assert(plain === slim.plain);
});
