/**
 * Cloudflare's isolates: one runs many requests and Durable Objects at a time, and a
 * timer, a port or a socket that one of them made throws when another one uses it
 * (seen in workerd of April 2026: "Cannot perform I/O on behalf of a different
 * request"). So nothing there serves all connections of the process.
 *
 * @module
 */

/** Whether what one connection has started can't serve another. */
export const isIsolating: boolean = "WebSocketPair" in globalThis;
