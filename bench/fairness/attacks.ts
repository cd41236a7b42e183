/**
 * The attacks on a server, by name. tests/hostile has each by its rule; here it goes
 * on for seconds, beside a neighbour that must not notice it.
 *
 * @module
 */

import { frame, Opcode } from "../../tests/interop/raw_socket.ts";
import { floods } from "./floods.ts";

/** One way to attack. */
export interface Attack {
  /** The frames that one connection sends. */
  readonly frames: readonly Uint8Array[];
  /** True if it sends them again and again. */
  readonly isRepeated: boolean;
  /** True if it reads the answers. */
  readonly isRead: boolean;
  /** The number of attacking connections. */
  readonly connections: number;
}

const text = (value: unknown): Uint8Array =>
  frame(Opcode.Text, typeof value === "string" ? value : JSON.stringify(value));

const request = (id: unknown, method: string, params: unknown): object => ({
  jsonrpc: "2.0",
  id,
  method,
  params,
});

const many = <T>(length: number, make: (n: number) => T): T[] =>
  Array.from({ length }, (_, n) => make(n));

const reference = { __jsonrpc_marshaled: 1, handle: 7 };

/** An attack that one connection repeats, and whose answers it reads. */
function flood(...frames: Uint8Array[]): Attack {
  return { frames, isRepeated: true, isRead: true, connections: 1 };
}

export const attacks: { readonly [kind: string]: Attack } = {
  "pings, pongs unread": {
    ...flood(...many(1_000, () => frame(Opcode.Ping, ""))),
    isRead: false,
  },
  "batches with a slow member": {
    frames: many(200, (n) =>
      text([
        request(`slow ${n}`, "hang", []),
        ...many(8, (m) => request(`${n}.${m}`, "long", [])),
      ])),
    isRepeated: false,
    isRead: true,
    connections: 5,
  },
  "28,000 references": flood(
    text(request(1, "take", [many(28_000, () => reference)])),
  ),
  "28,000 references in answers": flood(
    text({ jsonrpc: "2.0", id: 1, result: many(28_000, () => reference) }),
  ),
  "28,000 streams": flood(
    text(request(1, "take", many(28_000, (token) => ({ token })))),
  ),
  "500,000 params": flood(text(request(1, "take", many(500_000, () => 1)))),
  "1 MiB, id 1.5": flood(
    text(request(1.5, "take", [many(60_000, (id) => ({ id: id + 0.25 }))])),
  ),
  "long answers, unread": {
    frames: many(500, (id) => text(request(id, "long", []))),
    isRepeated: false,
    isRead: false,
    connections: 5,
  },
  "methods that hang": {
    frames: many(20_000, (id) => text(request(id, "hang", []))),
    isRepeated: false,
    isRead: true,
    connections: 5,
  },
  "notifications that hang": flood(
    ...many(
      1_000,
      () => text({ jsonrpc: "2.0", method: "hang", params: [1] }),
    ),
  ),
  "1 MiB of JSON": flood(...floods["1 MiB"]!.map(text)),
  "invalid messages": flood(...many(1_000, () => text("{"))),
  "400 silent sockets": {
    frames: [],
    isRepeated: false,
    isRead: true,
    connections: 400,
  },
  "fragments without end": flood(
    ...many(1_000, () => frame(Opcode.Continuation, "x".repeat(1_000), false)),
  ),
};

/** The first bytes of a connection. */
export function beginning(kind: string): readonly Uint8Array[] {
  return kind.startsWith("fragments") ? [frame(Opcode.Text, "[", false)] : [];
}
