import { assertEquals } from "@std/assert";
import { RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, result } from "./scripted_socket.ts";
import { open } from "./stage.ts";

eachPeer("Peer never answers a notification, nor a response", async (face) => {
  const calls: unknown[] = [];
  await using it = await open(face, {
    local: {
      note: (...params: unknown[]) => (calls.push(params), calls.length),
      fail: () => {
        throw new RpcError(1, "no");
      },
    },
  });
  const silent = [
    { jsonrpc: "2.0", method: "note", params: [1] },
    { method: "note", params: [2], id: null }, // As 1.0 has them.
    { jsonrpc: "2.0", method: "none" },
    { jsonrpc: "2.0", method: "fail" },
    { jsonrpc: "2.0", method: "note", params: 5 },
    { jsonrpc: "2.0", method: "x".repeat(257) },
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    { jsonrpc: "2.0", method: "$/progress", params: { token: 1, value: 1 } },
    { jsonrpc: "2.0", method: "rpc.ping" },
    result(99, "late"),
    failure(99, 1, "late"),
    failure(null, -32700, "Parse error"),
    "",
    " \n",
  ];
  for (const frame of silent) assertEquals(await it.ask(frame), []);
  assertEquals(calls, [[1], [2]]);
  // Its owner hears of the one that nobody sent a request for.
  assertEquals(it.thrown.map((error) => (error as RpcError).code), [-32700]);
});
