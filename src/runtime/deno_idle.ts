/**
 * The idle timer of Deno's server sockets, and the ping that comes with it.
 *
 * With an `idleTimeout`, Deno stops a timer and starts another one for each message
 * that arrives: a microsecond of the ten that a small call costs a server (seen in
 * 2.9.5; bench/, "50 x 4 in flight"). Here it does so once in a sixteenth of the
 * time, and pings that much earlier.
 *
 * Its pings are not affected: a ping is sent half the time after the timer was set, so
 * the pong that answers it always sets the timer anew.
 *
 * To be deleted when Deno looks at the time instead. If a later Deno is built
 * otherwise, each message costs what it costs now, and silent clients are pinged only
 * with an `idleTimeout`; tests/seconds/runtime_test.ts fails then.
 *
 * @module
 */

import type { Socket } from "../line/socket.ts";
import { findInternal, type Internals } from "./deno_pausing.ts";

const { prototype } = WebSocket;

/** The symbol of Deno's function that sets the timer anew. */
const renew = findInternal(prototype, "serverHandleIdleTimeout");

/** The symbol of a socket's idle time, in seconds; known with the first socket. */
let time: symbol | undefined;

// Seconds: half of it is the shortest timer.
const shortest = 0.002;

// Seconds: no timer takes more than 24 days.
const longest = 2_000_000;

/** Seconds of silence within what Deno's timers take. */
export function boundIdleTime(seconds: number): number {
  return Math.min(Math.max(seconds, shortest), longest);
}

/**
 * Lets Deno ping a socket that was made without an `idleTimeout`, and close it if
 * nothing comes within some milliseconds. From then on Deno pings it after as long
 * a silence. Does nothing if Deno pings it already.
 */
export function pingByDeno(socket: Socket, within: number): void {
  const it = socket as unknown as Internals;
  time ??= findInternal(socket, "idleTimeout");
  if (time === undefined || renew === undefined || it[time] !== 0) return;
  // Deno pings after half of the time, and reads the time again before it waits
  // another half for the answer.
  it[time] = shortest;
  (it[renew] as () => void)();
  const seconds = boundIdleTime(2 * within / 1_000);
  it[time] = seconds;
  calmIdleTimer(it as unknown as WebSocket, seconds);
}

// Notes on a socket: the time before which the timer isn't set anew, and the
// milliseconds until then.
const next = Symbol("next");
const grain = Symbol("grain");

/** Lets Deno set a socket's idle timer less often; returns whether it can be done. */
export function calmIdleTimer(socket: WebSocket, idleTimeout: number): boolean {
  if (renew === undefined) return false;
  const it = socket as unknown as Internals;
  it[grain] = idleTimeout * 1_000 / 16;
  it[next] = 0;
  it[renew] = renewSometimes;
  return true;
}

function renewSometimes(this: Internals): void {
  const now = performance.now();
  if (now < (this[next] as number)) return;
  this[next] = now + (this[grain] as number);
  ((prototype as unknown as Internals)[renew!] as () => void).call(this);
}
