/** What a hostile peer makes others hold or do, beyond what they can afford. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Duplex } from "node:stream";
import { type CloseInfo, Peer } from "../../mod.ts";
import * as node from "../../node.ts";
import type { PeerSocket } from "../../src/runtime/ws_socket.ts";
import { frame, Opcode, RawSocket } from "../interop/raw_socket.ts";
import { failure, request, result } from "../scripted_socket.ts";
import { bothTest, cloudflares, quiet, until } from "../servers.ts";
import { ask, hear, hostileTest, toText } from "./stage.ts";

const ping = request("ping", "rpc.ping");
const pong = result("ping", null);

for (const side of ["server", "client"] as const) {
  Deno.test(`Of 20,000 pings whose pongs nobody reads 64 at most wait, and the last is answered, towards a ${side} on ws`, async () => {
    const { hostile, socket, leave } = await stageWs(side);
    const stream = socket.stream as Duplex;
    let count = 0;
    const ping = (many: number): Promise<void> =>
      hostile.send(...Array.from({ length: many }, () => {
        const payload = `${count++}`.padStart(125);
        return frame(Opcode.Ping, payload, true, side === "server");
      }));
    /** Waits until what was sent has arrived. */
    const arrive = async (): Promise<void> => {
      noted = 0;
      await hostile.say(toText({ jsonrpc: "2.0", method: "note" }));
      await until(() => noted > 0);
    };
    // First as many as the system takes.
    while (stream.writableLength === 0) {
      for (let n = 0; n < 100; n++) await ping(50);
      await arrive();
    }
    const already = count;
    while (count < already + 20_000) await ping(1_000);
    await arrive();
    const { writableLength } = stream;
    assert(writableLength > 0 && writableLength <= 64 * 131);
    let pongs = 0;
    let last = -1;
    while (last < count - 1) {
      const { opcode, payload } = (await hostile.receive())!;
      assertEquals(opcode, Opcode.Pong);
      const number = Number(new TextDecoder().decode(payload));
      assert(number > last);
      last = number;
      pongs++;
    }
    assert(pongs < count);
    await leave();
  });
}

/** How often a method `note` was called. */
let noted = 0;

/** A peer with a socket of `ws`, and the hostile end of it. */
async function stageWs(
  side: "server" | "client",
): Promise<
  { hostile: RawSocket; socket: PeerSocket; leave: () => Promise<void> }
> {
  const local = { note: () => void noted++ };
  if (side === "server") {
    const server = await node.serve({ ...quiet, local });
    const hostile = await RawSocket.connect(server.url);
    await until(() => server.peers.size === 1);
    const [peer] = server.peers;
    return {
      hostile,
      socket: peer!.ws as PeerSocket,
      async leave() {
        hostile[Symbol.dispose]();
        await server.shutdown();
      },
    };
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const peer = node.connect(`ws://127.0.0.1:${port}`, {
    local,
    reconnect: false,
  });
  const hostile = await RawSocket.accept(await listener.accept());
  await peer.opened;
  return {
    hostile,
    socket: peer.ws as PeerSocket,
    async leave() {
      hostile[Symbol.dispose]();
      await peer.closed;
      listener.close();
    },
  };
}

Deno.test("Who sends on after the close of a server on ws is cut before he has sent half a million messages", async () => {
  await using server = await node.serve({ ...quiet, local: {} });
  using hostile = await RawSocket.connect(server.url);
  const garbage = Array<string>(1_000).fill("{".padEnd(60));
  let sent = 0;
  try {
    for (; sent < 2_000_000; sent += garbage.length) {
      await hostile.say(...garbage);
    }
  } catch { /* The connection is cut. */ }
  assert(sent >= 1_000 && sent < 500_000, `${sent}`);
  await until(() => server.peers.size === 0);
});

for (
  const [what, opcode] of [["pings", Opcode.Ping], [
    "pongs",
    Opcode.Pong,
  ]] as const
) {
  Deno.test(`Control frames count as messages do: who sends more ${what} than messageRate is closed with 4429, on ws`, async () => {
    const limits = { messageRate: 1, messageBurst: 10 };
    await using server = await node.serve({ ...quiet, local: {}, limits });
    using hostile = await RawSocket.connect(server.url);
    // Ten, and as many and 1,024 more before it is closed; seconds bring three.
    const many = Array.from({ length: 1_043 }, () => frame(opcode, ""));
    await hostile.send(...many);
    await hostile.say(toText(ping));
    assertEquals(await skipControls(hostile), Opcode.Text);
    await hostile.send(...many);
    assertEquals(await skipControls(hostile), Opcode.Close);
    await until(() => server.peers.size === 0);
  });
}

/** The opcode of the first frame that is none of these. */
async function skipControls(hostile: RawSocket): Promise<number | undefined> {
  for (;;) {
    const opcode = (await hostile.receive())?.opcode;
    if (opcode !== Opcode.Pong) return opcode;
  }
}

hostileTest(
  "Answers that wait for the slow member of their batch have room for one message, and the next are refused",
  { limits: { sentLength: 1_000_000 } },
  async ({ hostile, victim }) => {
    const text = "x".repeat(300_000);
    const count = 20;
    for (let n = 0; n < count; n++) {
      await hostile.say(toText([
        request(`slow ${n}`, "wait"),
        request(`long ${n}`, "echo", [text]),
      ]));
    }
    assertEquals(await ask(hostile, ping), [pong]);
    assertEquals(victim.executed, count);
    victim.openGate();
    for (let n = 0; n < count; n++) {
      assertEquals(await hear(hostile), [
        n < 3 ? result(`long ${n}`, text) : failure(
          `long ${n}`,
          -32008,
          "Response has no room beside batches' others, see limits.sentLength",
        ),
        result(`slow ${n}`, "waited"),
      ]);
    }
    // They have left, and the account is as it was.
    const batch = [request(1, "echo", [text]), request(2, "echo", [text])];
    assertEquals(await ask(hostile, batch), [[
      result(1, text),
      result(2, text),
    ]]);
  },
);

const reference = { __jsonrpc_marshaled: 1, handle: 7 };

hostileTest(
  "28,000 references in a message, or in an answer that nobody waits for, are refused, and given back by no frame",
  {},
  async ({ hostile, victim }) => {
    const many = Array.from({ length: 28_000 }, () => reference);
    const refusal =
      "Cannot take references: there are more than 1024, see limits.references";
    assertEquals(
      await ask(hostile, request(1, "count", [many])),
      [failure(1, -32006, refusal)],
    );
    await hostile.say(toText(result(99, many)));
    assertEquals(await ask(hostile, ping), [pong]);
    // As many as may be lent are taken, at a time.
    const some = many.slice(0, 512);
    await hostile.say(
      toText(request(2, "wait", [some])),
      toText(request(3, "wait", [some])),
    );
    assertEquals(
      await ask(hostile, request(4, "wait", [reference])),
      [failure(4, -32006, refusal)],
    );
    assertEquals(victim.executed, 2);
    victim.openGate();
    assertEquals([await hear(hostile), await hear(hostile)], [
      result(2, "waited"),
      result(3, "waited"),
    ]);
    assertEquals(await ask(hostile, request(5, "length", ["x", ...some])), [
      result(5, 1),
    ]);
  },
);

hostileTest(
  "28,000 streams in a message are refused",
  {},
  async ({ hostile, victim }) => {
    const many = Array.from({ length: 28_000 }, (_, token) => ({ token }));
    assertEquals(
      await ask(hostile, request(1, "count", many)),
      [failure(
        1,
        -32006,
        "Cannot take streams: there are more than 1024, see limits.streams",
      )],
    );
    assertEquals(victim.executed, 0);
  },
);

hostileTest(
  "More params than the stack takes are refused",
  {},
  async ({ hostile, victim }) => {
    const many = Array<number>(500_000).fill(1);
    assertEquals(await ask(hostile, request(1, "count", many)), [
      failure(1, -32602, "Invalid params: there are 500000 of at most 16384"),
    ]);
    assertEquals(
      await ask(hostile, request(2, "count", many.slice(0, 16_384))),
      [result(2, 1)],
    );
    assertEquals(victim.executed, 1);
  },
);

bothTest(
  "What a method throws or returns may be anything: a revoked proxy, a thenable whose getter throws",
  async (platform) => {
    const revoked = (): never => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy as never;
    };
    const thenable = () => ({
      get then(): never {
        throw revoked();
      },
    });
    const told: unknown[] = [];
    class Careless extends Peer {
      override local = {
        throws: () => {
          throw revoked();
        },
        throwsLater: async () => {
          await undefined;
          throw revoked();
        },
        returns: revoked,
        returnsLater: async () => {
          await undefined;
          return revoked();
        },
        thenable,
        thenableLater: async () => {
          await undefined;
          return thenable();
        },
        nested: () => [revoked()],
        echo: (value: unknown) => value,
      };
      override onerror(error: unknown): Promise<never> {
        told.push(error);
        return Promise.reject(revoked());
      }
    }
    await using server = await platform.serve(Careless);
    using hostile = await RawSocket.connect(server.url);
    await until(() => server.peers.size === 1);
    const [peer] = server.peers;
    const methods = Object.keys(peer!.local)
      .filter((name) => name !== "echo");
    for (const method of methods) {
      assertEquals(await ask(hostile, request(method, method)), [
        failure(method, -32603, "Internal error"),
      ]);
    }
    assertEquals(told.length, methods.length);
    assertEquals(await ask(hostile, request(1, "echo", ["alive"])), [
      result(1, "alive"),
    ]);
  },
);

bothTest(
  "Of all readers that stop, the one for whom most waits is closed with 4008 when it is more than bufferedTotal, and then the next",
  async (platform) => {
    const most = 20_000_000;
    const text = "x".repeat(100_000);
    const ends: [name: string, code: number, reason: string][] = [];
    class Feed extends Peer {
      name = "";
      override local = {
        call: (name: string) => void (this.name = name),
        echo: (value: unknown) => value,
      };
      override onclose({ code, reason }: CloseInfo): void {
        ends.push([this.name, code, reason]);
      }
    }
    await using server = await platform.serve(Feed, {
      limits: { bufferedTotal: most, bufferedTime: 600_000 },
    });
    const names = ["little", "more", "most", "neighbour"];
    const sockets = await Promise.all(names.map(async (name) => {
      const socket = await RawSocket.connect(server.url);
      assertEquals(await ask(socket, request(0, "call", [name])), [
        result(0, null),
      ]);
      return socket;
    }));
    const peers = names.map((name) =>
      [...server.peers].find((peer) => peer.name === name)!
    );
    /** Tells each of them something, until one more has been closed. */
    const tell = async (...counts: number[]): Promise<void> => {
      for (const { length } = ends; ends.length === length;) {
        for (const [index, count] of counts.entries()) {
          for (let n = 0; n < count; n++) peers[index]!.notify("news", [text]);
        }
        assertEquals(
          await ask(sockets[3]!, request(1, "echo", ["neighbour"])),
          [result(1, "neighbour")],
        );
      }
    };
    await tell(1, 2, 4);
    await tell(1, 2);
    assertEquals(ends.map(([name, code]) => [name, code]), [
      ["most", 4008],
      ["more", 4008],
    ]);
    for (const [, , reason] of ends) {
      assertMatch(
        reason,
        /^Slow consumer: 200\d{5} of at most 20000000 characters wait for all, see limits\.bufferedTotal$/,
      );
    }
    // Who reads has all of it, and what waited is off the account.
    peers[0]!.notify("end");
    for (;;) {
      const { method } = await hear(sockets[0]!) as { method: string };
      if (method === "end") break;
    }
    assertEquals(
      await ask(sockets[0]!, request(2, "echo", ["little"])),
      [result(2, "little")],
    );
    for (const socket of sockets) socket[Symbol.dispose]();
    await until(() => server.peers.size === 0);
  },
  cloudflares.buffered,
);
