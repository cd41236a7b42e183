import { assertEquals, assertRejects } from "@std/assert";
import { RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, result, settle } from "./scripted_socket.ts";
import { echo, invalid, open } from "./stage.ts";

eachPeer("Peer gives ids back as they came, or refuses them", async (face) => {
  await using it = await open(face, { local: { echo } });
  for (const id of ["0", "-1", "1.5", '""', '"1"', "null", "-0.0025"]) {
    it.socket.receive(`{"jsonrpc":"2.0", "method":"echo", "id" : ${id}}`);
    assertEquals(it.socket.take(), [result(JSON.parse(id), null)]);
  }
  const inexact = "id must be a number that comes back as it was written";
  const noId = "id must be a string, a number or null";
  const rows = [
    ["9007199254740993", inexact],
    ["0.1000000000000000055", inexact],
    ["1e400", inexact],
    [`"${"x".repeat(129)}"`, "id has 129 of at most 128 characters"],
    ["{}", noId],
    ["[]", noId],
    ["true", noId],
  ];
  for (const [id, why] of rows) {
    it.socket.receive(`{"jsonrpc":"2.0","method":"echo","id":${id}}`);
    assertEquals(it.socket.take(), [invalid(null, why)]);
  }
});

eachPeer(
  "Peer refuses an id that is in flight, and leaves the first alone",
  async (face) => {
    const gate = Promise.withResolvers<string>();
    await using it = await open(face, { local: { wait: () => gate.promise } });
    assertEquals(await it.ask(request(5, "wait")), []);
    assertEquals(await it.ask(request(5, "wait")), [
      invalid(null, "id 5 is in flight"),
    ]);
    assertEquals(await it.ask({ jsonrpc: "2.0", id: 5, method: 1 }), [
      invalid(null, "method must be a string"),
    ]);
    assertEquals(await it.ask(request("5", "none")), [
      failure("5", -32601, "Method not found"),
    ]);
    gate.resolve("done");
    await settle();
    assertEquals(it.socket.take(), [result(5, "done")]);
    assertEquals(await it.ask(request(5, "wait")), [result(5, "done")]);
  },
);

eachPeer(
  "An error without an id is about the one call that waits, or reaches onerror",
  async (face) => {
    await using it = await open(face);
    const { peer, socket, thrown } = it;
    const refused = assertRejects(
      () => peer.request("m"),
      RpcError,
      "Too large",
    );
    socket.receive(failure(null, -32007, "Too large"));
    await refused;
    assertEquals(thrown, []);

    // A notification may be to blame, until a later request is answered.
    peer.notify("n");
    const call = peer.request("m");
    socket.receive({ error: "what?" });
    assertEquals((thrown.pop() as RpcError).message, "what?");
    socket.receive(result(2, 1));
    assertEquals(await call, 1);
    const bare = assertRejects(() => peer.request("m"), RpcError, "what?");
    socket.receive({ error: "what?" });
    await bare;

    // About something else, or about one of two.
    const calls = [peer.request("m"), peer.request("m")];
    socket.receive(failure(null, -32600, "Which?"));
    socket.receive(result(4, 1));
    socket.receive(failure(null, -32601, "Method not found"));
    socket.receive(result(5, 2));
    assertEquals(await Promise.all(calls), [1, 2]);
    assertEquals(thrown.length, 2);
  },
);
