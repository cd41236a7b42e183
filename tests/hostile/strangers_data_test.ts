/** What one client says, and another reads: data, whatever it looks like. */

import { assertEquals } from "@std/assert";
import { Peer } from "../../mod.ts";
import { RawSocket } from "../interop/raw_socket.ts";
import { request, result } from "../scripted_socket.ts";
import { bothTest } from "../servers.ts";
import { ask } from "./stage.ts";

bothTest(
  "What one client stores another one reads as data: it asks nobody, and leaves the rest readable",
  async (platform) => {
    const stored: unknown[] = [];
    const told: unknown[] = [];
    class Store extends Peer {
      override local = {
        put: (value: unknown) => void stored.push(value),
        get: (index: number) => stored[index],
        all: () => stored,
        text: (params: { [name: string]: unknown }) => JSON.stringify(params),
      };
      override onerror(error: unknown): void {
        told.push(error);
      }
    }
    await using server = await platform.serve(Store);
    using attacker = await RawSocket.connect(server.url);
    using reader = await RawSocket.connect(server.url);
    const reference = { __jsonrpc_marshaled: 1, handle: 1 };
    const put = [
      { token: "abc" },
      { values: [1, 2] },
      [reference, { "": reference }, "kept"],
    ];
    await ask(
      attacker,
      ...put.map((value, id) => request(id, "put", [value])),
    );
    assertEquals(
      await ask(reader, request(1, "get", [0]), request(2, "get", [1])),
      [result(1, put[0]), result(2, put[1])],
    );
    for (let turn = 0; turn < 2; turn++) {
      assertEquals(await ask(reader, request(3, "all")), [
        result(3, [put[0], put[1], [null, { "": null }, "kept"]]),
      ]);
    }
    assertEquals(told.length, 2);
    // What writes itself would call whoever sent it.
    const named = { toJSON: reference, then: reference, a: 1 };
    assertEquals(
      await ask(attacker, request(4, "text", named), request(5, "put", ["x"])),
      [result(4, JSON.stringify(named)), result(5, null)],
    );
  },
);
