/**
 * The least code that can tell a room: `bare.ts write|deno|send`. It checks nothing.
 * On `ws` (`write`) the frames of a turn are written once, and each member is given
 * that one buffer; on Deno's own sockets (`deno`) each is sent a turn's messages as
 * one array; with `send`, each is sent each message.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { WebSocketServer } from "ws";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";

const [, , how] = process.argv;

interface Member {
  send(text: string): void;
  write(frames: Uint8Array): void;
}

const members = new Set<Member>();
let texts: string[] = [];

function hear(data: string): void {
  const { params } = JSON.parse(data);
  const text = JSON.stringify({ jsonrpc: "2.0", method: "show", params });
  if (how === "send") {
    for (const member of members) member.send(text);
  } else if (texts.push(text) === 1) setImmediate(leave);
}

function leave(): void {
  const all = texts;
  texts = [];
  if (how === "deno") {
    const frame = `[${all.join()}]`;
    for (const member of members) member.send(frame);
  } else {
    const frames = Buffer.concat(all.map(framed));
    for (const member of members) member.write(frames);
  }
}

function framed(text: string): Uint8Array {
  const { length } = text;
  return Buffer.from(
    length < 126
      ? `\x81${String.fromCharCode(length)}${text}`
      : `\x81\x7e${String.fromCharCode(length >> 8, length & 255)}${text}`,
    "latin1",
  );
}

function serveDeno(): string {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      const member = { send: (text: string) => socket.send(text), write() {} };
      socket.onopen = () => void members.add(member);
      socket.onmessage = ({ data }) => hear(data);
      socket.onclose = () => void members.delete(member);
      return response;
    },
  );
  return `ws://127.0.0.1:${server.addr.port}/`;
}

async function serveWs(): Promise<string> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.on("connection", (ws, { socket }) => {
    const member = {
      send: (text: string) => ws.send(text),
      write: (frames: Uint8Array) => void socket.write(frames),
    };
    members.add(member);
    ws.on("message", (data: object) => hear(data.toString()));
    ws.on("close", () => members.delete(member));
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`;
}

const isDeno = "Deno" in globalThis;
await converse(isDeno ? serveDeno() : await serveWs(), (question) => {
  if (question === "collect") collect();
  return usage();
});
process.exit();
