/**
 * A socket that plays whatever part a test writes for it: the hostile peer, the
 * broken runtime, the old client.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Peer, type PeerOptions } from "../mod.ts";
import type { Handshake } from "../src/server/acceptor.ts";
import {
  ReadyState,
  type Socket,
  type SocketEvent,
} from "../src/line/socket.ts";

type Listener = (event: SocketEvent) => void;

/** A socket with nothing behind it: the test is its peer. */
export class ScriptedSocket implements Socket {
  readyState: number;
  bufferedAmount = 0;
  binaryType = "blob";
  /** See {@linkcode Socket}. */
  frameLength: number | undefined;
  /** What was sent, in order. */
  readonly sent: string[] = [];
  /** The arguments of each call of `close`. */
  readonly closes: {
    code: number | undefined;
    reason: string | undefined;
  }[] = [];
  /** Thrown by the next `send`, once. */
  sendError: Error | undefined;
  /** Close codes that `close` refuses, as a browser does. */
  refusedCodes: readonly number[] = [];
  /** Runs within `send`. */
  onsend: ((data: string) => void) | undefined;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(readyState: number = ReadyState.Open) {
    this.readyState = readyState;
  }

  send(data: string): void {
    const error = this.sendError;
    this.sendError = undefined;
    if (error !== undefined) throw error;
    this.sent.push(data);
    this.onsend?.(data);
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && this.refusedCodes.includes(code)) {
      throw new DOMException("No such code", "InvalidAccessError");
    }
    this.closes.push({ code, reason });
    this.readyState = ReadyState.Closing;
  }

  addEventListener(type: string, listener: Listener): void {
    let listeners = this.#listeners.get(type);
    if (listeners === undefined) {
      this.#listeners.set(type, listeners = new Set());
    }
    listeners.add(listener);
  }

  removeEventListener(type: string, listener: Listener): void {
    this.#listeners.get(type)?.delete(listener);
  }

  /** How many listeners are attached. */
  get listenerCount(): number {
    let count = 0;
    for (const listeners of this.#listeners.values()) count += listeners.size;
    return count;
  }

  /** Lets an event happen; a throw from a listener is the test's to see. */
  dispatch(event: SocketEvent): void {
    for (const listener of [...this.#listeners.get(event.type) ?? []]) {
      listener(event);
    }
  }

  /** Lets the handshake be done. */
  open(): void {
    this.readyState = ReadyState.Open;
    this.dispatch({ type: "open" });
  }

  /** Lets a frame arrive: text, or anything else to be written as JSON. */
  receive(data: unknown): void {
    const isRaw = typeof data === "string" || data instanceof ArrayBuffer;
    this.dispatch({
      type: "message",
      data: isRaw ? data : JSON.stringify(data),
    });
  }

  /** Lets the socket be closed. */
  end(code = 1000, reason = "", wasClean = true): void {
    this.readyState = ReadyState.Closed;
    this.dispatch({ type: "close", code, reason, wasClean });
  }

  /** Takes what was sent since the last time, parsed. */
  take(): unknown[] {
    return this.sent.splice(0).map((text) => JSON.parse(text));
  }
}

/** Lets the handshake be done with a server that shares frames. */
export function openShared(socket: ScriptedSocket): void {
  Object.assign(socket, { protocol: "jsonrpcws.v1" });
  socket.open();
  socket.receive([]);
}

/** A peer over a scripted socket that is open. */
export interface Scripted extends AsyncDisposable {
  readonly socket: ScriptedSocket;
  readonly peer: Peer;
}

/** Makes a peer over a scripted socket, and waits until it has opened. */
export async function openScripted(
  options: PeerOptions = {},
  socket: ScriptedSocket = new ScriptedSocket(),
): Promise<Scripted> {
  const peer = new Peer(socket, options);
  await peer.opened;
  return scripted(socket, peer);
}

/**
 * A peer and its scripted socket, which are closed together.
 *
 * @param look Looks at what is left.
 */
export function scripted<One extends ScriptedSocket>(
  socket: One,
  peer: Peer,
  look?: () => void,
): Scripted & { readonly socket: One } {
  return {
    socket,
    peer,
    async [Symbol.asyncDispose]() {
      peer.close();
      socket.end();
      await peer.closed;
      assertEquals(socket.listenerCount, 0);
      look?.();
    },
  };
}

/** A request, to be received or to have been sent. */
export function request(
  id: unknown,
  method: string,
  params: unknown = [],
): object {
  return { jsonrpc: "2.0", method, params, id };
}

/** A response with a result. */
export function result(id: unknown, result: unknown): object {
  return { jsonrpc: "2.0", result, id };
}

/** A response with an error. */
export function failure(id: unknown, code: number, message: string): object {
  return { jsonrpc: "2.0", error: { code, message }, id };
}

/** Counts the listeners that a signal has from now on. */
export function countListeners(signal: AbortSignal): { count: number } {
  const listeners = { count: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]): void => {
    listeners.count++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]): void => {
    listeners.count--;
    Reflect.apply(removeEventListener, signal, args);
  };
  return listeners;
}

// The platform's, whatever a test puts in its place.
const { setImmediate = (task: () => void): unknown => setTimeout(task) } =
  globalThis as { setImmediate?: (task: () => void) => unknown };

/** Lets everything that is due in this turn happen, and what follows it. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  // On a busy machine the timer comes before what was to follow the turn.
  await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** What a client asks an acceptor; one without a page, unless it says more. */
export function scriptedHandshake(
  more: { [name: string]: string } = {},
): Handshake<undefined> {
  const headers = new Headers({
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...more,
  });
  return {
    get: (name) => headers.get(name),
    isSecure: false,
    request: new Request("http://localhost/", { headers }),
    info: undefined,
  };
}
