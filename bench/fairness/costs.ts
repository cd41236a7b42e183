/**
 * The cost of messages against plain JSON of the same length: `costs.ts`. No sender
 * may choose a factor above 3. The peer is a server's, and its socket has nothing
 * behind it; writing to it counts, too.
 *
 * @module
 */

import process from "node:process";
import { Peer, plain, type Socket } from "@jsonrpcws/peer";
import { dear, type Frame, usual } from "../../tests/hostile/dear.ts";
import { converse } from "../lines.ts";

/** A socket with nothing behind it. */
class Sink {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  binaryType = "arraybuffer";
  tell: (event: { type: string; data: unknown }) => void = () => {};

  send(): void {}

  close(): void {
    throw new Error("The peer has closed");
  }

  addEventListener(
    type: string,
    listener: (event: { type: string; data: unknown }) => void,
  ): void {
    if (type === "message") this.tell = listener;
  }

  removeEventListener(): void {}
}

const socket = new Sink();
const peer = new Peer(socket as unknown as Socket, {
  local: {
    take() {},
    keep: plain(() => {}),
    echo: (value: unknown) => value,
  },
  limits: { sentLength: 67_108_864 },
  onerror() {},
});
await peer.opened;

// The shortest round, in microseconds of CPU.
const least = 20_000;
const rounds = 9;

/** Gives the peer a frame. */
function hear(data: Frame): void {
  socket.tell({ type: "message", data });
}

/** Only parses a frame. */
function parse(data: Frame): void {
  try {
    JSON.parse(
      typeof data === "string" ? data : new TextDecoder().decode(data),
    );
  } catch { /* It is none. */ }
}

/** Microseconds of CPU for so many runs of something, with frames by turns. */
async function measure(
  run: (frame: Frame) => void,
  frames: readonly Frame[],
  times: number,
): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < times; n++) run(frames[n % frames.length]!);
  await new Promise((resolve) => setTimeout(resolve));
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The cost of a frame, as multiples of that of plain JSON of its length. */
interface Factors {
  /** The whole cost. */
  readonly all: number;
  /** The part of `JSON.parse`. */
  readonly parse: number;
}

async function compare(frame: Frame): Promise<Factors> {
  // Two texts, since an engine may remember the last one.
  const frames = typeof frame === "string" ? [frame, `${frame}\n`] : [frame];
  const length = typeof frame === "string" ? frame.length : frame.byteLength;
  const other = usual(length);
  const ways = [
    { run: hear, frames: [other], bytes: other.length, times: 1 },
    { run: hear, frames, bytes: length, times: 1 },
    { run: parse, frames, bytes: length, times: 1 },
  ];
  for (const way of ways) {
    while (await measure(way.run, way.frames, way.times) < least) {
      way.times *= 2;
    }
  }
  const factors: number[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const costs: number[] = [];
    for (const { run, frames, bytes, times } of ways) {
      costs.push(await measure(run, frames, times) / (times * bytes));
    }
    factors[0]!.push(costs[1]! / costs[0]!);
    factors[1]!.push(costs[2]! / costs[0]!);
  }
  const [all, parsing] = factors.map((some) =>
    some.toSorted((a, b) => a - b)[rounds >> 1]!
  );
  return { all: all!, parse: parsing! };
}

await converse(Object.keys(dear), (kind: string) => compare(dear[kind]!));
process.exit();
