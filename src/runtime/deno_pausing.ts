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
 * otherwise, sockets are never paused; tests/seconds/runtime_test.ts fails then.
 *
 * @module
 */

import { ReadyState, type Socket } from "../line/socket.ts";

/** An object of Deno's with its internal slots, and notes on it. */
export interface Internals {
  [internal: symbol]: unknown;
}

/** The symbol of an internal slot, by the name that Deno gives it. */
export function findInternal(holder: object, name: string): symbol | undefined {
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

/** The symbol of a socket's state; known with the first socket. */
let state: symbol | undefined;

// Notes on a socket: the message after which the next look at its state shall say
// closed, whether one has said so since, and its true state.
const last = Symbol("last event");
const isLeft = Symbol("is left");
const value = Symbol("state");

/** Whether {@linkcode leave} stops reading a socket, as it does Deno's own. */
export function canLeave(socket: Socket | undefined): boolean {
  if (socket === undefined || loop === undefined || !(loop in socket)) {
    return false;
  }
  state ??= findInternal(socket, "readyState");
  return state !== undefined;
}

/**
 * Stops reading a socket after a message that is being told. Other listeners to the
 * message see the true state.
 */
export function leave(socket: Socket, event: object): void {
  const it = socket as unknown as Internals;
  if (!(value in it)) {
    it[value] = it[state!];
    Object.defineProperty(it, state!, property);
  }
  it[last] = event;
}

const property: PropertyDescriptor & ThisType<Internals> = {
  get() {
    const event = this[last] as Event | undefined;
    // Deno looks when the message was told; others may look meanwhile.
    if (event === undefined || event.eventPhase !== 0) return this[value];
    this[last] = undefined;
    this[isLeft] = true;
    return ReadyState.Closed;
  },
  set(next) {
    this[value] = next;
  },
};

/** Reads a socket again after {@linkcode leave}. */
export function readOn(socket: Socket): void {
  const it = socket as unknown as Internals;
  it[last] = undefined;
  if (it[isLeft] !== true) return; // Nothing has stopped.
  it[isLeft] = false;
  void (it[loop!] as () => Promise<void>)();
}
