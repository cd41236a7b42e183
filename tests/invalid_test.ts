import { assertEquals } from "@std/assert";
import { eachPeer } from "./faces.ts";
import { failure, result } from "./scripted_socket.ts";
import { echo, invalid, open } from "./stage.ts";

eachPeer("Peer answers what is no message", async (face) => {
  await using it = await open(face, { local: { echo } });
  assertEquals(await it.ask("{"), [failure(null, -32700, "Parse error")]);
  assertEquals(await it.ask(new Uint8Array([0xff]).buffer), [
    failure(null, -32700, "Parse error"),
  ]);
  for (const frame of [5, null, '"text"', []]) {
    assertEquals(await it.ask(frame), [invalid()]);
  }
  const noMethod = "method must be a string";
  assertEquals(await it.ask({}), [invalid(null, noMethod)]);
  const call = { jsonrpc: "2.0", method: "echo", id: 7 };
  const rows: [message: object, why: string][] = [
    [{ ...call, method: 1 }, noMethod],
    [{ ...call, jsonrpc: "3.0" }, 'jsonrpc must be "2.0"'],
    [{ ...call, params: "text" }, "params must be an array or an object"],
    [
      { ...call, method: "x".repeat(257) },
      "method has 257 of at most 256 characters",
    ],
  ];
  for (const [message, why] of rows) {
    assertEquals(await it.ask(message), [invalid(7, why)]);
  }
  // What is read is less strict than what is written.
  assertEquals(await it.ask({ ...call, params: null }), [result(7, null)]);
});
