/**
 * Deno's sockets of a server, which can't be paused: one that sends 1 MiB frames as
 * fast as it can is read on whatever is done with them, up to a hundred in one go
 * (seen in 2.9.5). What it sent piled up on this side: of 60 calls of 800 kB that an
 * honest client makes at once, 30 were lost with their connection, for more than
 * 16 MiB that waited; and its neighbours were not heard meanwhile.
 *
 * The function that reads a socket goes on as long as its state is another than
 * closed, and asks for that right after it has told of a message. So a socket that is
 * to be left says closed at that one time, and the same function reads on later.
 *
 * To be deleted when Deno's sockets can be paused. Where they are built otherwise than
 * this, they are read on as before; tests/runtime_test.ts tells.
 *
 * @module
 */

import { ReadyState, type Socket } from "../line/socket.ts";

interface Internals {
  [internal: symbol]: unknown;
}

/** The property that has this name in the standard's words. */
function findInternal(holder: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(holder).find(({ description }) =>
    description === `[[${name}]]`
  );
}

const { Deno: deno, WebSocket: Native } = globalThis as {
  Deno?: unknown;
  WebSocket?: { readonly prototype: object };
};

/** What reads a socket until its state is closed. */
const loop = deno === undefined || Native === undefined
  ? undefined
  : findInternal(Native.prototype, "eventLoop");
const nativeRead = loop && (Native!.prototype as Internals)[loop] as (
  this: Internals,
) => Promise<void>;

/** Where a socket has its state; known with the first one. */
let state: symbol | undefined;

// What is noted on a socket: whether it is read, whether it shall be left at the next
// look, whether it is read on once it has been; and its state.
const isRead = Symbol("is read");
const isLeaving = Symbol("is leaving");
const goesOn = Symbol("goes on");
const value = Symbol("state");

/** Has a socket be one that can be left, if it is Deno's own and not open yet. */
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

/** Whether a socket can be left. */
export function canLeave(socket: Socket | undefined): boolean {
  return socket !== undefined && isRead in socket;
}

/**
 * Reads no more of a socket that can be left. To be called as the last thing that is
 * done with a message of its: who else is told of that must not look at its state.
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

/** Reads on where a socket was left. */
export function readOn(socket: Socket): void {
  const it = socket as unknown as Internals;
  it[isLeaving] = false;
  if (it[isRead] === true) it[goesOn] = true;
  else void read.call(it);
}
