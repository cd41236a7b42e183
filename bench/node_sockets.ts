/**
 * Puts the sockets of `ws` where Deno has its own: for Node, and for clients on
 * Deno that send large frames. A file of its own, because Deno loads all
 * possible imports of a module.
 */

import { WebSocket, WebSocketServer } from "ws";

Object.assign(globalThis, { WebSocket, WebSocketServer });
