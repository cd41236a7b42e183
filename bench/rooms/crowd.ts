/**
 * The members of a room: `crowd.ts rpc|shared|socket.io SIZE TOTAL URL...`. They are
 * bare TCP sockets, so that many of them cost little. Three speak, each with so many
 * messages under way; further connections are in other rooms of that size, where
 * nobody speaks. A line asks for a turn of so many milliseconds. Its answer is the
 * turn's deliveries, once every member has had every message.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import process from "node:process";
import { converse } from "../lines.ts";

const speakers = 3;
const underWay = 8;

const [, , kind, size, total, ...urls] = process.argv;

// Handshakes at a time.
const atATime = 50;

// A sign that stands once in each message, with the speaker's mark behind it.
const sign = "~";
const mark = sign.charCodeAt(0);
const marks = "#%&";

const padding = "x".repeat(40);

/** The frame of a message that a speaker says, masked with zeros. */
function said(speaker: number): Uint8Array {
  const text = `${sign}${marks[speaker]}${padding}`;
  const message = kind === "socket.io"
    ? `42${JSON.stringify(["say", text])}`
    : JSON.stringify({ jsonrpc: "2.0", method: "say", params: [text] });
  return framed(message);
}

function framed(message: string, opcode = 1): Uint8Array {
  return new Uint8Array([
    ...[0x80 | opcode, 0x80 | message.length, 0, 0, 0, 0],
    ...new TextEncoder().encode(message),
  ]);
}

const pong = framed("", 10);
const answer = framed("3");
const word = framed('{"jsonrpc":"2.0","method":"here"}');

/** One connection: it counts its messages, and answers pings. */
class Member {
  /** Messages since the connection. */
  count = 0;
  /** The times of its own messages that have not come back yet. */
  readonly waiting: number[] = [];
  readonly latencies: number[] = [];
  readonly #socket: Socket;
  readonly #say: Uint8Array | undefined;
  readonly #own: number;
  /** Bytes of the frame that is being read, and of its head. */
  #skip = 0;
  #head = 0;
  #rest: Uint8Array | undefined;

  constructor(socket: Socket, speaker: number) {
    this.#socket = socket;
    this.#say = speaker < speakers ? said(speaker) : undefined;
    this.#own = marks.charCodeAt(speaker);
    socket.setNoDelay(true);
    socket.on("close", () => {
      console.error("A member was cut");
      process.exit(1);
    });
  }

  speak(times: number): void {
    const now = performance.now();
    const all: Uint8Array[] = [];
    for (let n = 0; n < times; n++) {
      this.waiting.push(now);
      all.push(this.#say!);
    }
    this.#socket.write(Buffer.concat(all));
  }

  hear(chunk: Buffer): void {
    if (this.#rest !== undefined) {
      chunk = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    // A member with shared frames is asked by a call; any word is an answer.
    if (kind === "shared" && chunk.includes("rpc.ping")) {
      this.#socket.write(word);
    }
    const all = new Marks(chunk, mark);
    const own = this.#say && new Marks(chunk, this.#own);
    let heard = 0;
    let at = 0;
    while (at < chunk.length) {
      const end = Math.min(at + this.#skip, chunk.length);
      this.count += all.count(at, end);
      heard += own?.count(at, end) ?? 0;
      this.#skip -= end - at;
      at = end;
      if (at === chunk.length || !this.#begin(chunk, at)) break;
      at += this.#head;
    }
    if (heard > 0) this.#hearOwn(heard);
  }

  /** Reads the head of a frame; `false`: not all of it is there. */
  #begin(chunk: Buffer, at: number): boolean {
    const short = chunk[at + 1]! & 127;
    this.#head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + this.#head > chunk.length) {
      this.#rest = chunk.subarray(at);
      return false;
    }
    this.#skip = short < 126
      ? short
      : short === 126
      ? chunk.readUInt16BE(at + 2)
      : chunk.readUInt32BE(at + 6);
    if ((chunk[at]! & 15) === 9) this.#socket.write(pong);
    // Engine.IO's ping: no other message is that short.
    if (this.#skip === 1) this.#socket.write(answer);
    return true;
  }

  #hearOwn(heard: number): void {
    const now = performance.now();
    for (const then of this.waiting.splice(0, heard)) {
      this.latencies.push(now - then);
    }
    if (now < turn.end) this.speak(heard);
  }
}

/** The places of a byte in a chunk, asked for from its beginning to its end. */
class Marks {
  readonly #chunk: Buffer;
  readonly #byte: number;
  #next: number;

  constructor(chunk: Buffer, byte: number) {
    this.#chunk = chunk;
    this.#byte = byte;
    this.#next = chunk.indexOf(byte);
  }

  /** The number of times that it stands between two places. */
  count(start: number, end: number): number {
    let count = 0;
    while (this.#next !== -1 && this.#next < end) {
      if (this.#next >= start) count++;
      this.#next = this.#chunk.indexOf(this.#byte, this.#next + 1);
    }
    return count;
  }
}

const turn = { end: 0 };

/** Resolves when the handshake is done. */
function open(url: URL, speaker: number): Promise<Member> {
  const socket = connect(Number(url.port), url.hostname);
  const head = [
    `GET ${
      kind === "socket.io"
        ? "/socket.io/?EIO=4&transport=websocket"
        : url.pathname
    } HTTP/1.1`,
    `Host: ${url.host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...kind === "shared" ? ["Sec-WebSocket-Protocol: jsonrpcws.v1"] : [],
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    const first = (chunk: Buffer): void => {
      const text = chunk.toString("latin1");
      // Engine.IO opens, then Socket.IO does.
      if (kind === "socket.io" && !text.includes('40{"sid"')) {
        if (text.includes('0{"sid"')) socket.write(framed("40"));
        return;
      }
      if (!text.startsWith("HTTP/1.1 101") && kind !== "socket.io") {
        return reject(new Error(text));
      }
      socket.off("data", first);
      const member = new Member(socket, speaker);
      const rest = chunk.subarray(
        kind === "socket.io" ? chunk.length : text.indexOf("\r\n\r\n") + 4,
      );
      socket.on("data", (chunk) => member.hear(chunk as Buffer));
      if (rest.length > 0) member.hear(rest);
      resolve(member);
    };
    socket.on("data", first as (chunk: unknown) => void);
  });
}

const members: Member[] = [];
const others: Member[] = [];
for (let n = 0; n < Number(total);) {
  const opening: Promise<Member>[] = [];
  for (; opening.length < atATime && n < Number(total); n++) {
    const room = Math.floor(n / Number(size));
    opening.push(open(new URL(`/${room}`, urls[n % urls.length]!), n));
  }
  for (const member of await Promise.all(opening)) {
    if (members.length < Number(size)) members.push(member);
    else others.push(member);
  }
}

/** Lets the members speak, and checks the deliveries. */
async function speak(
  milliseconds: number,
): Promise<{ count: number; milliseconds: number; latencies: number[] }> {
  const all = members.slice(0, speakers);
  const before = members.map(({ count }) => count);
  for (const { latencies } of all) latencies.length = 0;
  const start = performance.now();
  turn.end = start + milliseconds;
  for (const member of all) member.speak(underWay);
  const isDone = () => all.every(({ waiting }) => waiting.length === 0);
  const total = () => members.reduce((sum, { count }) => sum + count, 0);
  const sums = total();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 1));
  // The last ones of the others are on their way.
  const messages = all.reduce(
    (sum, { latencies }) => sum + latencies.length,
    0,
  );
  const patience = performance.now() + 30_000;
  while (
    total() < sums + messages * members.length && performance.now() < patience
  ) await new Promise((resolve) => setTimeout(resolve, 1));
  const took = performance.now() - start;
  for (const [n, { count }] of members.entries()) {
    const had = count - before[n]!;
    if (had !== messages) {
      throw new Error(`Member ${n} had ${had} of ${messages} messages`);
    }
  }
  const latencies = all.flatMap(({ latencies }) => latencies);
  return { count: messages * members.length, milliseconds: took, latencies };
}

await converse("", speak);
process.exit();
