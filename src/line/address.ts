/**
 * The address and the subprotocols of a client, and the socket that is made of
 * them.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-websocket}
 *
 * @module
 */

import type { Socket } from "./socket.ts";

/**
 * The address to connect to: `ws:` or `wss:`, or `http:` or `https:` for the same;
 * in a browser also relative to the page. A function is called before each attempt.
 */
export type Address =
  | string
  | URL
  | (() => string | URL | Promise<string | URL>);

/**
 * The subprotocols to offer. A function is called before each attempt: for a ticket
 * that is valid only once.
 */
export type Protocols =
  | string
  | readonly string[]
  | ((
    this: void,
  ) => string | readonly string[] | Promise<string | readonly string[]>);

/** Makes a socket; the type of the option `createSocket`. */
export type CreateSocket = (
  this: void,
  url: string,
  protocols: string[],
) => Socket;

/**
 * Makes the platform's own socket.
 *
 * @throws {TypeError} The platform has no WebSocket.
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
 * Makes the socket of one attempt; a promise if the address or the subprotocols are
 * a function.
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

/** A value, or the result of a function that was given in its place. */
async function ask<T>(value: T | (() => T | Promise<T>)): Promise<T> {
  return typeof value === "function"
    ? await (value as () => T | Promise<T>)()
    : value;
}

/**
 * The URL as every WebSocket takes it: absolute, `ws:` or `wss:`, without a
 * fragment.
 */
function toWebSocketUrl(url: string | URL): string {
  // Checked, or a page would connect to "/undefined". By `href`, since a URL may be
  // of another realm.
  if (typeof ((url as URL | undefined)?.href ?? url) !== "string") {
    throw new TypeError(
      `Cannot connect to ${url}: give a URL, "wss://example.com"`,
    );
  }
  const { href } = new URL(url, globalThis.location?.href);
  return href.replace(/^http/, "ws").replace(/#.*/, "");
}
