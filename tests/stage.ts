/**
 * What tests of both peers play on: a peer over a scripted socket, two peers in
 * memory, a client whose sockets are scripted, a client whose connections can be
 * cut; and the words of the plays.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Address } from "../client.ts";
import type { BasePeer, CloseInfo } from "../mod.ts";
import { type MemorySocket, socketPair } from "../src/line/socket_pair.ts";
import { ReadyState } from "../src/line/socket.ts";
import type { Face, FaceOptions } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { failure, ScriptedSocket, settle } from "./scripted_socket.ts";

/** A peer over a scripted socket that is open. */
export interface Scene<One = BasePeer> extends AsyncDisposable {
  readonly socket: ScriptedSocket;
  readonly peer: One;
  /** What reached `onerror`. */
  readonly thrown: unknown[];
  /** Lets a frame arrive, and takes what is answered in this turn and the next. */
  ask(frame: unknown): Promise<unknown[]>;
}

/** Makes a peer over a scripted socket, and waits until it has opened. */
export async function open<One = BasePeer>(
  face: Face,
  options: FaceOptions = {},
): Promise<Scene<One>> {
  const socket = new ScriptedSocket();
  const thrown: unknown[] = [];
  const peer = face.peer(socket, {
    onerror: (error) => void thrown.push(error),
    ...options,
  });
  await peer.opened;
  return {
    socket,
    peer: peer as One,
    thrown,
    async ask(frame) {
      socket.receive(frame);
      await settle();
      return socket.take();
    },
    async [Symbol.asyncDispose]() {
      peer.close();
      socket.end();
      await peer.closed;
      assertEquals(socket.listenerCount, 0);
    },
  };
}

/** Two peers in memory. */
export function pair(
  face: Face,
  left: FaceOptions = {},
  right: FaceOptions = {},
): [BasePeer, BasePeer] {
  const [a, b] = socketPair();
  return [face.peer(a, left), face.peer(b, right)];
}

/** Where a client connects whose sockets are scripted. */
export const address = "ws://localhost/";

/** A client whose sockets are scripted, in a time that stands still. */
export interface Lab<Client = BasePeer> extends AsyncDisposable {
  readonly time: FakeTime;
  readonly sockets: ScriptedSocket[];
  /** The address and the protocols of each socket. */
  readonly opened: string[];
  readonly client: Client;
  /** What the hooks were told. */
  readonly log: (string | CloseInfo)[];
  /** The newest socket. */
  readonly socket: ScriptedSocket;
}

/** What a {@linkcode Lab} is made with. */
export type LabOptions = FaceOptions & { url?: Address };

/** Makes a client whose sockets are scripted; of each delay it takes the half. */
export function lab<Client = BasePeer>(
  face: Face,
  { url = address, ...options }: LabOptions = {},
): Lab<Client> {
  const time = new FakeTime();
  const { random } = Math;
  Math.random = (): number => 0.5;
  const sockets: ScriptedSocket[] = [];
  const opened: string[] = [];
  const log: (string | CloseInfo)[] = [];
  const client = face.connect(url, {
    onopen: () => void log.push("open"),
    onclose: (info) => void log.push(info),
    createSocket(url, protocols) {
      const socket = new ScriptedSocket(ReadyState.Connecting);
      sockets.push(socket);
      opened.push([url, ...protocols].join(" "));
      return socket;
    },
    ...options,
  });
  return {
    time,
    sockets,
    opened,
    client: client as Client,
    log,
    get socket() {
      return sockets.at(-1)!;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      for (const socket of sockets) {
        if (socket.readyState !== ReadyState.Closed) socket.end();
      }
      await client.closed;
      Math.random = random;
      time[Symbol.dispose]();
      // One that was given up keeps a listener to errors that concern nobody.
      for (const socket of sockets) assert(socket.listenerCount <= 1);
    },
  };
}

/** A client whose connections a test can cut; each has a server of its own. */
export interface Network<Local extends object> extends AsyncDisposable {
  readonly client: BasePeer<Local>;
  readonly servers: BasePeer[];
  /** Loses the connection. */
  cut(): void;
}

/** Makes a client whose connections can be cut. */
export function network<Local extends object>(
  face: Face,
  local: Local & ThisType<BasePeer>,
): Network<Local> {
  const servers: BasePeer[] = [];
  let current: MemorySocket;
  const client = face.connect<Local>(address, {
    reconnect: { delay: 0 },
    createSocket() {
      const [left, right] = socketPair();
      current = left;
      servers.push(face.peer(left, { local }));
      return right;
    },
  });
  return {
    client,
    servers,
    cut: () => current.terminate(),
    async [Symbol.asyncDispose]() {
      client.close();
      await client.closed;
      await Promise.all(servers.map((server) => server.closed));
    },
  };
}

/** What of a sent frame is looked at. */
export interface Frame {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Takes what was sent since the last time. */
export function take(socket: ScriptedSocket): Frame[] {
  return socket.take() as Frame[];
}

/** Takes what was sent, and tells the code of each error. */
export function codes(socket: ScriptedSocket): (number | undefined)[] {
  return take(socket).map(({ error }) => error?.code);
}

/** Takes what was sent, and tells the method of each. */
export function methods(socket: ScriptedSocket): (string | undefined)[] {
  return take(socket).flat().map(({ method }) => method);
}

/** A notification, to be received or to have been sent. */
export function notification(method: string, params?: unknown): object {
  return {
    jsonrpc: "2.0",
    method,
    ...(params === undefined ? {} : { params }),
  };
}

/** What is answered to what is no message. */
export function invalid(id: unknown = null, why?: string): object {
  return failure(
    id,
    -32600,
    why === undefined ? "Invalid Request" : `Invalid Request: ${why}`,
  );
}

/** A method that answers with its first argument. */
export function echo(value?: unknown): unknown {
  return value;
}

/** A promise that is never settled. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

/** What a proxy of an untyped remote can do. */
export type Proxy =
  & { (...params: unknown[]): Promise<unknown> }
  & { [name: string]: (...params: unknown[]) => Promise<unknown> }
  & Disposable;

/** What a method of an untyped remote returns, as the stream that it is. */
export function stream(call: unknown): AsyncIterable<unknown> {
  return call as AsyncIterable<unknown>;
}

/** Reads a stream to its end. */
export async function collect<T = unknown>(call: unknown): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream(call)) values.push(value as T);
  return values;
}

/** A stream without end that tells how often it was left. */
export class Endless implements AsyncIterable<number> {
  left = 0;

  [Symbol.asyncIterator](): AsyncIterator<number> {
    return {
      next: () => Promise.resolve({ value: 1, done: false }),
      return: () => {
        this.left++;
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }
}

/** Asks for a WebSocket by hand. */
export async function askForUpgrade(conn: Deno.Conn): Promise<void> {
  const head = [
    "GET / HTTP/1.1",
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "",
  ];
  await conn.write(new TextEncoder().encode(head.join("\r\n")));
}

/** The timers of `setTimeout`, in a time that stands still. */
export interface Timers extends Disposable {
  /** How many have been started. */
  readonly started: number;
  /** How many of them are neither stopped nor due. */
  readonly running: number;
}

/** Counts timers from now on; to be disposed of before the time that stands still. */
export function countTimers(): Timers {
  const { setTimeout, clearTimeout } = globalThis;
  const running = new Set<unknown>();
  let started = 0;
  globalThis.setTimeout = ((run: () => void, delay?: number) => {
    started++;
    const id = setTimeout(() => {
      running.delete(id);
      run();
    }, delay);
    running.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id): void => {
    running.delete(id);
    clearTimeout(id);
  };
  return {
    get started() {
      return started;
    },
    get running() {
      return running.size;
    },
    [Symbol.dispose]() {
      globalThis.setTimeout = setTimeout;
      globalThis.clearTimeout = clearTimeout;
    },
  };
}
