/**
 * Cloudflare's isolates. One isolate runs many requests and Durable Objects at a
 * time, and a timer, a port or a socket that one of them made throws when another
 * one uses it (seen in workerd of April 2026: "Cannot perform I/O on behalf of a
 * different request"). So no timer or queue may be shared by all connections there.
 *
 * @module
 */

/** Whether connections can't share timers and ports. */
export const isIsolating: boolean = "WebSocketPair" in globalThis;
