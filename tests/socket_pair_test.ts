import { assertEquals, assertThrows } from "@std/assert";
import { type MemorySocket, socketPair } from "../testing.ts";
import { settle } from "./scripted_socket.ts";

/** Writes down every event of a socket. */
function watch(socket: MemorySocket): unknown[] {
  const events: unknown[] = [];
  for (const type of ["open", "message", "error", "close"]) {
    socket.addEventListener(type, ({ data, code, reason, wasClean }) => {
      events.push(
        type === "message"
          ? data
          : type === "close"
          ? [code, reason, wasClean]
          : type,
      );
    });
  }
  return events;
}

Deno.test("socketPair connects, delivers in order and closes with a handshake", async () => {
  const [left, right] = socketPair();
  const [atLeft, atRight] = [watch(left), watch(right)];
  assertEquals([left.readyState, right.readyState], [0, 0]);
  assertThrows(() => left.send("early"), DOMException, "still connecting");
  await settle();
  assertEquals([left.readyState, right.readyState], [1, 1]);
  for (const text of ["a", "b", "c"]) left.send(text);
  right.send("too late for one who is closing");
  left.close(4000, "bye");
  assertEquals(left.readyState, 2);
  left.send("dropped");
  await settle();
  assertEquals(atRight, ["open", "a", "b", "c", [4000, "bye", true]]);
  assertEquals(atLeft, ["open", [4000, "bye", true]]);
  assertEquals([left.readyState, right.readyState], [3, 3]);
  left.close();
  right.send("dropped");
  await settle();
  assertEquals([atLeft.length, atRight.length], [2, 5]);
});

Deno.test("socketPair can be open from the start", () => {
  const [left, right] = socketPair({ open: true });
  assertEquals([left.readyState, right.readyState], [1, 1]);
});

Deno.test("socketPair tells code 1005 where none was given, and lets both close at a time", async () => {
  const [left, right] = socketPair({ open: true });
  const [atLeft, atRight] = [watch(left), watch(right)];
  left.close();
  right.close();
  await settle();
  assertEquals([atLeft, atRight], [[[1005, "", true]], [[1005, "", true]]]);
});

Deno.test("socketPair cuts both ends with code 1006", async () => {
  const [left, right] = socketPair({ open: true });
  const [atLeft, atRight] = [watch(left), watch(right)];
  right.send("lost");
  left.terminate();
  right.send("dropped");
  await settle();
  const cut = ["error", [1006, "", false]];
  assertEquals([atLeft, atRight], [cut, cut]);
  assertEquals([left.readyState, right.readyState], [3, 3]);

  const [connecting, other] = socketPair();
  const events = watch(connecting);
  connecting.close();
  await settle();
  assertEquals(events, cut);
  assertEquals(other.readyState, 3);
});

Deno.test("socketPair refuses what a WebSocket refuses", () => {
  const [left] = socketPair({ open: true });
  for (const code of [0, 999, 1001, 1006, 2999, 5000]) {
    assertThrows(() => left.close(code), DOMException, "Cannot close");
  }
  assertThrows(() => left.close(1000, "é".repeat(62)), DOMException, "123");
  assertEquals(left.readyState, 1);
});

Deno.test("socketPair lets what is sent to a paused end wait", async () => {
  const [left, right] = socketPair({ open: true });
  const events = watch(right);
  right.pause();
  left.send("é");
  left.send("b");
  await settle();
  assertEquals([events, left.bufferedAmount], [[], 3]);
  left.close();
  await settle();
  assertEquals([events, left.readyState], [[], 2]);
  right.resume();
  assertEquals(left.bufferedAmount, 0);
  await settle();
  assertEquals(events, ["é", "b", [1005, "", true]]);
  assertEquals(left.readyState, 3);
});

Deno.test("socketPair stops telling a listener that was removed", async () => {
  const [left, right] = socketPair({ open: true });
  const messages: unknown[] = [];
  const listener = ({ data }: { data?: unknown }): void =>
    void messages.push(data);
  right.addEventListener("message", listener);
  right.addEventListener("message", listener);
  left.send("a");
  await settle();
  right.removeEventListener("message", listener);
  left.send("b");
  await settle();
  assertEquals(messages, ["a"]);
});
