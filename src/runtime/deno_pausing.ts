/**
 * Pausing a server's sockets in Deno, which have no such function. Deno goes on
 * reading a client that sends 1 MiB frames as fast as it can, up to a hundred in
 * one go (seen in 2.9.5), so messages pile up here. An honest client that made 60
 * calls of 800 kB at once lost 30 of them with its connection, because more than 16
 * MiB waited, and its neighbours were not heard meanwhile.
 *
 * Deno's function that reads a socket goes on until the socket's state is closed,
 * and looks at the state right after each message. So a socket that is to be paused
 * says "closed" for that one look, which ends the function; to read on, the
 * function is called again.
 *
 * To be deleted when Deno's sockets can be paused. If a later Deno is built
 * otherwise, sockets are never paused; tests/runtime_test.ts fails then.
 *
 * @module
 */

import { ReadyState, type Socket } from "../line/socket.ts";

interface Internals {
  [internal: symbol]: unknown;
}

/** The symbol of an internal slot, by its name in the standard. */
function findInternal(holder: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(holder).find(({ description }) =>
    description === `[[${name}]]`
  );
}

const { Deno: deno, WebSocket: Native } = globalThis as {
  Deno?: unknown;
  WebSocket?: { readonly prototype: object };
};

/** The symbol of the function that reads a socket. */
const loop = deno === undefined || Native === undefined
  ? undefined
  : findInternal(Native.prototype, "eventLoop");
const nativeRead = loop && (Native!.prototype as Internals)[loop] as (
  this: Internals,
) => Promise<void>;

/** The symbol of a socket's state; known with the first socket. */
let state: symbol | undefined;

// Notes on a socket: whether it is being read, whether the next look at its state
// shall say closed, whether reading goes on after that, and its true state.
const isRead = Symbol("is read");
const isLeaving = Symbol("is leaving");
const goesOn = Symbol("goes on");
const value = Symbol("state");

/**
 * Prepares a socket for {@linkcode leave}, if it is Deno's own and not open yet.
 */
export function makeLeavable(socket: Socket): void {
  if (loop === undefined || !(loop in socket)) return;
  state ??= findInternal(socket, "readyState");
  if (state === undefined) return;
  const it = socket as unknown as Internals;
  it[isRead] = false;
  it[loop] = read;
}

async function read(this: Internals): Promise<void> {
  this[isRead] = true;
  do {
    this[goesOn] = false;
    await nativeRead!.call(this);
  } while (this[goesOn] === true);
  this[isRead] = false;
}

/** Whether a socket was prepared for {@linkcode leave}. */
export function canLeave(socket: Socket | undefined): boolean {
  return socket !== undefined && isRead in socket;
}

/**
 * Stops reading a prepared socket. Must be the last action of a message listener,
 * since the next look at the socket's state says closed, whoever looks.
 */
export function leave(socket: Socket): void {
  const it = socket as unknown as Internals;
  if (!(value in it)) {
    it[value] = it[state!];
    Object.defineProperty(it, state!, property);
  }
  it[goesOn] = false;
  it[isLeaving] = true;
}

const property: PropertyDescriptor & ThisType<Internals> = {
  get() {
    if (this[isLeaving] !== true) return this[value];
    this[isLeaving] = false;
    return ReadyState.Closed;
  },
  set(next) {
    this[value] = next;
  },
};

/** Reads a socket again after {@linkcode leave}. */
export function readOn(socket: Socket): void {
  const it = socket as unknown as Internals;
  it[isLeaving] = false;
  if (it[isRead] === true) it[goesOn] = true;
  else void read.call(it);
}
