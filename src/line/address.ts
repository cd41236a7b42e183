/**
 * The address that a client connects to, and its socket to there.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-websocket}
 *
 * @module
 */

import type { Socket } from "./socket.ts";

/**
 * Where to connect: `ws:` or `wss:`, or `http:` or `https:` for the same address;
 * in a browser also relative to the page. A function is asked before each
 * attempt.
 */
export type Address =
  | string
  | URL
  | (() => string | URL | Promise<string | URL>);

/**
 * The subprotocols to offer. A function is asked before each attempt, for a ticket
 * that is valid once.
 */
export type Protocols =
  | string
  | readonly string[]
  | ((
    this: void,
  ) => string | readonly string[] | Promise<string | readonly string[]>);

/** Makes a socket; see `createSocket` of the options. */
export type CreateSocket = (
  this: void,
  url: string,
  protocols: string[],
) => Socket;

/**
 * The platform's own socket.
 *
 * @throws {TypeError} There is none.
 */
export function createWebSocket(url: string, protocols: string[]): Socket {
  if (typeof WebSocket !== "function") {
    throw new TypeError(
      "Cannot connect: there is no WebSocket here, Node has it from 22 on; give createSocket",
    );
  }
  return new WebSocket(url, protocols);
}

/**
 * Makes the socket of one attempt: later, where somebody has to be asked first.
 *
 * @throws {TypeError} The URL is not valid.
 */
export function openSocket(
  url: Address,
  protocols: Protocols,
  createSocket: CreateSocket,
): Socket | Promise<Socket> {
  const open = (
    url: string | URL,
    protocols: string | readonly string[],
  ): Socket =>
    createSocket(toWebSocketUrl(url), [protocols].flat() as string[]);
  return typeof url === "function" || typeof protocols === "function"
    ? Promise.all([ask(url), ask(protocols)]).then((asked) => open(...asked))
    : open(url, protocols);
}

/** What a value is, or what a function that was given in its place says. */
async function ask<T>(value: T | (() => T | Promise<T>)): Promise<T> {
  return typeof value === "function"
    ? await (value as () => T | Promise<T>)()
    : value;
}

/** The address as WebSocket takes it: absolute, `ws:` or `wss:`, no fragment. */
function toWebSocketUrl(url: string | URL): string {
  // Or a page would connect to "/undefined". A document of another realm has its URL.
  if (typeof ((url as URL | undefined)?.href ?? url) !== "string") {
    throw new TypeError(
      `Cannot connect to ${url}: give a URL, "wss://example.com"`,
    );
  }
  const { href } = new URL(url, globalThis.location?.href);
  return href.replace(/^http/, "ws").replace(/#.*/, "");
}
