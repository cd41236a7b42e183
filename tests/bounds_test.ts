import { assert, assertEquals, assertRejects } from "@std/assert";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer } from "./faces.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { open } from "./stage.ts";

eachPeer("The calls of a peer are bounded, either way", async (face) => {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  await using it = await open(face, {
    local: { wait: () => (begun++, gate.promise) },
  });
  const { peer, socket } = it;
  for (let id = 0; id < 1_024; id++) socket.receive(request(id, "wait"));
  assertEquals(socket.sent, []);
  socket.receive(request("more", "wait"));
  const [busy] = socket.take() as [
    { error: { code: number; message: string } },
  ];
  assertEquals([busy.error.code, begun], [-32009, 1_024]);
  assertEquals(
    busy.error.message,
    "Busy: 1024 of at most 1024 methods are running, not executed",
  );
  // A notification could not be told, and runs; what is the protocol's own, too.
  socket.receive({ jsonrpc: "2.0", method: "wait" });
  assertEquals([begun, socket.sent], [1_025, []]);
  socket.receive(request("ping", "rpc.ping"));
  assertEquals(socket.take(), [result("ping", null)]);
  gate.resolve();
  await settle();
  assertEquals(socket.take().length, 1_024);

  const options = { timeout: Infinity };
  const calls = Array.from(
    { length: 1_024 },
    () => peer.request("m", [], options).catch(() => {}),
  );
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    'Cannot send request "m": 1024 of at most 1024 are pending',
  );
  peer.close();
  await Promise.all(calls);
});

eachPeer("What waits for a connection of a peer is bounded", async (face) => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = face.peer(socket);
  const controller = new AbortController();
  const { signal } = controller;
  const given = assertRejects(
    () => peer.request("m", [], { signal }),
    DOMException,
  );
  for (let n = 1; n < 1_024; n++) assert(peer.notify("m"));
  assertEquals(peer.notify("m"), false);
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    'Cannot send request "m": 1024 of at most 1024 messages wait for the handshake',
  );
  controller.abort();
  await given;
  assert(peer.notify("last")); // In the place of the one that was given up.
  socket.open();
  assertEquals(socket.take().length, 1_024);
  peer.close();
  socket.end();
  await peer.closed;

  const other = new ScriptedSocket(ReadyState.Connecting);
  const long = face.peer(other);
  assert(long.notify("m", ["x".repeat(600_000)]));
  assertEquals(long.notify("m", ["x".repeat(600_000)]), false);
  long.close();
  other.end();
  await long.closed;
});
