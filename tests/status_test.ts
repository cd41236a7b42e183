/** What becomes of a connection, for who shows it. */

import { assert, assertEquals } from "@std/assert";
import type { ConnectionStatus, Peer } from "../mod.ts";
import { wholePeer } from "./faces.ts";
import { lab } from "./stage.ts";

wholePeer(
  "connection tells each change of its status, and counts down",
  async (face) => {
    await using it = lab<Peer>(face);
    const told: ConnectionStatus[] = [];
    const { subscribe } = it.client.connection;
    const stop = subscribe((status) => void told.push(status));
    assertEquals(told.splice(0), [{ state: "connecting", attempt: 0 }]);
    const refused = new Error("refused");
    it.socket.dispatch({ type: "error", error: refused });
    it.socket.end(1006, "Server restarts, retry in 2300 ms");
    const failed = {
      state: "connecting" as const,
      attempt: 1,
      cause: refused,
      code: 1006,
      reason: "Server restarts, retry in 2300 ms",
      wasClean: true,
    };
    assertEquals(told.splice(0), [{ ...failed, retryIn: 2_300 }]);
    await it.time.pass(299);
    assertEquals(told, []);
    await it.time.pass(1);
    await it.time.pass(1_000);
    assertEquals(told.splice(0).map(({ retryIn }) => retryIn), [2_000, 1_000]);
    await it.time.pass(1_000);
    assertEquals(told.splice(0), [failed]);
    it.socket.open();
    assertEquals(told.splice(0), [{ state: "open", attempt: 0 }]);

    it.socket.end(1001, "Going");
    const lost = { code: 1001, reason: "Going", wasClean: true, attempt: 0 };
    assertEquals(told.splice(0), [
      { ...lost, state: "connecting", retryIn: 500 },
    ]);
    stop();
    await it.time.pass(500);
    it.socket.open();
    assertEquals(told, []);
    it.client.close(4000, "enough");
    const { state, attempt, retryIn } = it.client.connection.get();
    assertEquals([state, attempt, retryIn], ["closed", 0, undefined]);
  },
);

wholePeer(
  "connection has the same status until something changes",
  async (face) => {
    await using it = lab<Peer>(face);
    const { get } = it.client.connection;
    assertEquals(it.client.connection, it.client.connection);
    const first = get();
    assertEquals(get(), first);
    it.socket.end(1006, "retry in 5000 ms");
    const waiting = get();
    assert(waiting !== first);
    await it.time.pass(400);
    assert(get() === waiting);
    await it.time.pass(700);
    assertEquals(get().retryIn, 3_900);
    assert(get() === get());
  },
);

wholePeer(
  "connection tells after the hooks, whoever subscribes or stops meanwhile",
  async (face) => {
    await using it = lab<Peer>(face);
    const log: unknown[] = it.log;
    const thrown: unknown[] = [];
    it.client.onerror = (error) => void thrown.push(error);
    const stops: (() => void)[] = [];
    const { subscribe } = it.client.connection;
    stops.push(subscribe(({ state }) => {
      log.push(state);
      if (state === "open") stops[1]!();
    }));
    stops.push(subscribe(() => {
      throw new Error("mine");
    }));
    assertEquals(thrown.length, 1);
    it.socket.open();
    assertEquals([log, thrown.length], [["connecting", "open", "open"], 1]);
    it.client.close();
    assertEquals(log.slice(3), [
      { code: 1000, reason: "", wasClean: true },
      "closed",
    ]);
  },
);

wholePeer(
  "connection may be closed by who is told of it",
  async (face) => {
    await using it = lab<Peer>(face);
    it.client.connection.subscribe(({ attempt }) => {
      if (attempt === 2) it.client.close();
    });
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.end(1006);
    assertEquals(it.client.state, "closed");
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 2);
  },
);
