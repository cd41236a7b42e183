/** The errors that callers and owners meet: which call, whose, and where from. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type BasePeer,
  ConnectionClosedError,
  type ErrorContext,
  Peer,
  RpcError,
} from "../mod.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, settle } from "./scripted_socket.ts";
import { open, pair } from "./stage.ts";

eachPeer(
  "An RpcError that a call rejects with says which call, and not in its JSON",
  async (face) => {
    await using it = await open(face);
    const call = assertRejects(() => it.peer.request("save"), RpcError);
    it.socket.receive(failure(1, 409, "Name is taken"));
    const error = await call;
    assertEquals([error.method, error.code], ["save", 409]);
    assertEquals(Object.keys(error).sort(), ["code", "data", "name"]);
    assertEquals(
      JSON.stringify(error),
      '{"code":409,"message":"Name is taken"}',
    );
    assertEquals(new RpcError(1, "mine").method, undefined);
  },
);

eachPeer(
  "An RpcError that a call rejects with has the stack of its caller",
  async (face) => {
    const [server, client] = pair(face, {
      local: {
        refuse() {
          throw new RpcError(7, "No");
        },
      },
    });
    async function callTheOther(): Promise<void> {
      await client.request("refuse");
    }
    async function alsoByTheRemote(): Promise<void> {
      await (client as BasePeer<{ refuse(): void }>).remote.refuse();
    }
    const [one, other] = await Promise.all([
      assertRejects(callTheOther, RpcError),
      assertRejects(alsoByTheRemote, RpcError),
    ]);
    assert(one.stack!.includes("callTheOther"), one.stack);
    assert(other.stack!.includes("alsoByTheRemote"), other.stack);
    client.close();
    await Promise.all([client.closed, server.closed]);
  },
);

/** A copy of the package, as a second version of it in one program would be. */
async function copy(): Promise<typeof import("../src/wire/error.ts")> {
  return await import(
    new URL("../src/wire/error.ts?copy", import.meta.url).href
  );
}

Deno.test("RpcError and ConnectionClosedError of another copy of the package are known", async () => {
  const other = await copy();
  assert(other.RpcError !== RpcError);
  const foreign = new other.RpcError(409, "Name is taken", { name: "ann" });
  assert(foreign instanceof RpcError);
  const closed = new other.ConnectionClosedError(
    "Cannot",
    { code: 1006, reason: "", wasClean: false },
    false,
  );
  assert(closed instanceof ConnectionClosedError);
  assert(!(closed instanceof RpcError));
  for (const nothing of [null, undefined, 1, {}, new Error("mine"), RpcError]) {
    assert(!(nothing as unknown instanceof RpcError));
    assert(!(nothing as unknown instanceof ConnectionClosedError));
  }
  class Taken extends RpcError {}
  assert(new Taken(1, "") instanceof Taken);
  assert(new Taken(1, "") instanceof other.RpcError);
  assert(!((foreign as unknown) instanceof Taken));
});

eachPeer(
  "An RpcError of another copy of the package reaches the caller as it is",
  async (face) => {
    const { RpcError: Foreign } = await copy();
    await using it = await open(face, {
      local: {
        take() {
          throw new Foreign(409, "Name is taken", { name: "ann" });
        },
      },
    });
    assertEquals(await it.ask(request(1, "take")), [{
      jsonrpc: "2.0",
      error: { code: 409, message: "Name is taken", data: { name: "ann" } },
      id: 1,
    }]);
    assertEquals(it.thrown, []);
  },
);

eachPeer(
  "onerror is told which method threw, and of which call",
  async (face) => {
    const told: [string, ErrorContext][] = [];
    await using it = await open(face, {
      local: {
        now() {
          throw new Error("now");
        },
        late: () => Promise.reject(new Error("late")),
        unwritable: () => 1n,
      },
      oninvalid() {
        throw new Error("hook");
      },
      onerror: (error, context) =>
        void told.push([(error as Error).message, context]),
    });
    for (const method of ["now", "late", "unwritable"]) {
      await it.ask(request(`${method}!`, method));
    }
    await it.ask("no JSON");
    await settle();
    assertEquals(told.map(([, { method, call }]) => [method, call?.id]), [
      ["now", "now!"],
      ["late", "late!"],
      ["unwritable", "unwritable!"],
      [undefined, undefined],
    ]);
    assertEquals(
      told.map(([message]) => message).filter((message) =>
        ["now", "late", "hook"].includes(message)
      ),
      ["now", "late", "hook"],
    );
  },
);

Deno.test("onerror of a service may leave the context out, and hand it on", async () => {
  const told: unknown[] = [];
  class Service extends Peer {
    override local = {
      fail() {
        throw new Error("mine");
      },
    };
    override onerror(error: unknown, context?: ErrorContext): void {
      told.push((error as Error).message, context?.method);
    }
  }
  const [left, right] = socketPair();
  await using server = new Service(left);
  await using client = new Peer(right);
  await assertRejects(() => client.request("fail"), RpcError);
  assertEquals(told, ["mine", "fail"]);
  server.onerror("by hand");
  assertEquals(told.slice(2), [undefined, undefined]);
});

Deno.test("What another peer's protocol answers is not said again as one's own, an application's error is", async () => {
  const [left, right] = socketPair();
  const [there, here] = socketPair();
  const codes = [-32009, -32601, -32800, 409];
  await using _member = new Peer(right, {
    local: {
      hear(code: number) {
        throw new RpcError(code, "Not executed");
      },
    },
  });
  await using membership = new Peer(left);
  const told: unknown[] = [];
  await using room = new Peer(there, {
    local: {
      speak: (code: number) => membership.request("hear", [code]),
    },
    onerror: (error) => void told.push((error as RpcError).code),
  });
  await using speaker = new Peer<{ speak(code: number): void }>(here);
  const heard = await Promise.all(
    codes.map((code) =>
      assertRejects(() => speaker.remote.speak(code), RpcError)
    ),
  );
  assertEquals(heard.map(({ code }) => code), [-32603, -32603, -32603, 409]);
  assertEquals(told, codes.slice(0, 3));
  assertEquals(room.state, "open");
});
