/**
 * One that sends as fast as it can: `flood.ts URL KIND`, over bare TCP, so that it
 * is not what is slow. It reads what it is answered, and comes back when it is cut.
 *
 * @module
 */

import { frame, Opcode } from "../../tests/interop/raw_socket.ts";
import { converse } from "../lines.ts";
import { floods } from "./floods.ts";

const [url, kind] = Deno.args;
const { hostname, port, host } = new URL(url!);
const messages = floods[kind!]!;
const frames = messages.map((text) => frame(Opcode.Text, text));
// Some at a time, or the system calls would be what is slow.
const chunk = new Uint8Array(
  frames.reduce((sum, { length }) => sum + length, 0),
);
let at = 0;
for (const one of frames) {
  chunk.set(one, at);
  at += one.length;
}

let sent = 0;
let cuts = 0;
let connections = 0;
let isOver = false;

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
  const reading = (async () => {
    while (await connection.read(buffer) !== null);
  })().catch(() => {});
  const writing = (async () => {
    while (!isOver) {
      await write(connection, chunk);
      sent += frames.length;
    }
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
  if (question === "go") void run();
  const report = { sent, cuts, connections };
  sent = 0;
  return report;
});
isOver = true;
Deno.exit();
