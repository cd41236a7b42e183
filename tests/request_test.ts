import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError, RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { request, result } from "./scripted_socket.ts";
import { open } from "./stage.ts";

eachPeer("The remote of a peer can be awaited and printed", async (face) => {
  await using it = await open(face);
  const { remote } = it.peer;
  assertEquals(await Promise.resolve(remote), remote);
  assertEquals(JSON.stringify({ remote }), `{"remote":{}}`);
  assertEquals(it.socket.sent, []);
});

eachPeer(
  "Peer rejects the caller whose params can't be written, and sends nothing",
  async (face) => {
    await using it = await open(face);
    const { peer } = it;
    const bad: unknown[] = [5, "text", null, () => {}, new Date(0), [5n]];
    for (const params of bad) {
      const given = params as object;
      await assertRejects(
        () => peer.request("m", given),
        TypeError,
        'Cannot send request "m": ',
      );
      assertThrows(() => peer.notify("m", given), TypeError);
    }
    const long = ["x".repeat(1_048_576)];
    await assertRejects(() => peer.request("m", long), RangeError, "at most");
    assertThrows(() => peer.notify("m", long), RangeError, "at most 1048576");
    assertEquals(it.socket.sent, []);
    peer.close(); // Nothing is pending that would be rejected unheard.
  },
);

eachPeer("A request of a peer is undone if it can't be sent", async (face) => {
  await using it = await open(face);
  it.socket.sendError = new Error("broken");
  const error = await assertRejects(
    () => it.peer.request("m"),
    ConnectionClosedError,
    'Cannot send request "m"',
  );
  assertEquals([error.sent, String(error.cause)], [false, "Error: broken"]);
  it.socket.sendError = new Error("broken");
  assertEquals(it.peer.notify("m"), false);
  // A socket may answer from within send().
  it.socket.onsend = () => it.socket.receive(result(2, "at once"));
  assertEquals(await it.peer.request("m"), "at once");
});

eachPeer(
  "request writes params alike, with streams and references or without",
  async (face) => {
    class Point {
      readonly #x = 1;
      toJSON(): object {
        return { x: this.#x };
      }
    }
    // Without parts where there may be none, and with them.
    for (const options of [{}, { use: [] }]) {
      await using it = await open(face, options);
      const { socket, peer } = it;
      const call = assertRejects(
        () => peer.request("m", new Point()),
        RpcError,
      );
      assertEquals(socket.take(), [request(1, "m", { x: 1 })]);
      socket.receive({ jsonrpc: "2.0", error: "no", id: 1 });
      await call;
      await assertRejects(() => peer.request("m", new Date(0)), TypeError);
      assertEquals(socket.sent, []);
    }
  },
);
