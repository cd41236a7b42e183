/**
 * A client that sends as fast as it can, or attacks: `flood.ts URL KIND`. It uses bare
 * TCP, so that the client is not the slow part, and comes back when it is cut.
 *
 * @module
 */

import { frame, Opcode } from "../../tests/interop/raw_socket.ts";
import { converse } from "../lines.ts";
import { type Attack, attacks, beginning } from "./attacks.ts";
import { floods } from "./floods.ts";

const [url, kind] = Deno.args;
const { hostname, port, host } = new URL(url!);
const attack: Attack = attacks[kind!] ?? {
  frames: floods[kind!]!.map((text) => frame(Opcode.Text, text)),
  isRepeated: true,
  isRead: true,
  connections: 1,
};
const { frames } = attack;
// Several at a time, because a system call for each would be the slow part.
const chunk = join(frames);

let sent = 0;
let cuts = 0;
let connections = 0;
let isOver = false;

const forever = new Promise<never>(() => {});

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const one of parts) {
    joined.set(one, at);
    at += one.length;
  }
  return joined;
}

async function flood(): Promise<void> {
  using connection = await Deno.connect({ hostname, port: Number(port) });
  connections++;
  await write(
    connection,
    new TextEncoder().encode([
      "GET / HTTP/1.1",
      `Host: ${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "\r\n",
    ].join("\r\n")),
  );
  const buffer = new Uint8Array(1 << 18);
  await connection.read(buffer);
  await write(connection, join(beginning(kind!)));
  const reading = (async () => {
    while (attack.isRead && await connection.read(buffer) !== null);
    if (!attack.isRead) await forever;
  })().catch(() => {});
  const writing = (async () => {
    do {
      await write(connection, chunk);
      sent += frames.length;
    } while (!isOver && attack.isRepeated);
    if (!attack.isRepeated) await forever;
  })().catch(() => {});
  await Promise.race([reading, writing]);
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}

async function run(): Promise<void> {
  while (!isOver) {
    await flood().catch(() => {});
    if (!isOver) cuts++;
  }
}

await converse("ready", (question) => {
  if (question === "go") {
    for (let n = 0; n < attack.connections; n++) void run();
  }
  const report = { sent, cuts, connections };
  sent = 0;
  return report;
});
isOver = true;
Deno.exit();
