/**
 * A client of the soak test that attacks, past the bad network: `{ url, seed }`. It
 * makes one attack after the other at a low rate, each on a connection of its own. A
 * line ends it; it then tells the number of each attack.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { lines } from "../bench/lines.ts";
import { frame, Opcode, RawSocket } from "../tests/interop/raw_socket.ts";
import { Random } from "./random.ts";

/** The task of this process. */
export interface AttackTask {
  url: string;
  seed: number;
}

/** One attack, on a connection that ends with it. */
type Attack = (socket: RawSocket) => Promise<void>;

const many = <T>(length: number, make: (n: number) => T): T[] =>
  Array.from({ length }, (_, n) => make(n));

const text = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);

/** A request for a method that no journal has. */
const request = (id: unknown, method: string, params: unknown = []): string =>
  text({ jsonrpc: "2.0", id, method, params });

// Milliseconds that a connection stays open after its last message.
const rest = 1_500;

/** Says something, and reads the answers for a while. */
function saying(...texts: string[]): Attack {
  return async (socket) => {
    const reading = (async () => {
      while (await socket.receive() !== undefined);
    })();
    await socket.say(...texts);
    await Promise.race([sleep(rest), reading]);
  };
}

/** Says something, and reads nothing. */
function unread(...frames: Uint8Array[]): Attack {
  return async (socket) => {
    await Promise.race([socket.send(...frames), sleep(rest)]);
    await sleep(rest);
  };
}

const reference = { __jsonrpc_marshaled: 1, handle: 7 };

const attacks: { readonly [kind: string]: Attack } = {
  pings: unread(...many(20_000, (n) => frame(Opcode.Ping, `${n}`))),
  batches: saying(
    ...many(
      20,
      (n) =>
        `[${request(`slow ${n}`, "hang")},${request(`long ${n}`, "long")}]`,
    ),
  ),
  references: saying(request(1, "take", [many(28_000, () => reference)])),
  "answered references": saying(
    text({ jsonrpc: "2.0", id: 1, result: many(28_000, () => reference) }),
  ),
  streams: saying(request(1, "take", many(28_000, (token) => ({ token })))),
  ids: saying(request(1.5, "take", many(60_000, (id) => ({ id: id + 0.25 })))),
  "unread answers": unread(
    ...many(300, (n) => frame(Opcode.Text, request(n, "long"))),
  ),
  hanging: saying(...many(2_000, (n) => request(n, "hang"))),
  "hanging notifications": saying(
    ...many(2_000, () => text({ jsonrpc: "2.0", method: "hang" })),
  ),
  invalid: saying(...many(50, () => "{")),
  long: saying(request(1, "take", ["x".repeat(1_100_000)])),
  deep: saying(
    `{"jsonrpc":"2.0","method":"take","id":1,"params":${"[".repeat(100_000)}`,
  ),
  params: saying(request(1, "take", many(500_000, () => 1))),
  fragments: unread(
    frame(Opcode.Text, "[", false),
    ...many(500, () => frame(Opcode.Continuation, "1,".repeat(500), false)),
  ),
  silence: () => sleep(rest),
};

const over = new AbortController();

async function attack({ url, seed }: AttackTask): Promise<[string, number][]> {
  const random = new Random(seed);
  const counts = new Map<string, number>();
  const kinds = Object.keys(attacks);
  while (!over.signal.aborted) {
    const kind = random.pick(kinds);
    try {
      using socket = await RawSocket.connect(url);
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      await attacks[kind]!(socket);
    } catch {
      // The server is gone, or has cut it.
    }
    await sleep(random.below(1_000));
  }
  return [...counts];
}

if (import.meta.main) {
  const task: AttackTask = JSON.parse(Deno.args[0]!);
  const input = lines(Deno.stdin.readable);
  input.next().then(() => over.abort());
  console.log(JSON.stringify(await attack(task)));
  Deno.exit();
}
