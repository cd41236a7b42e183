/**
 * Puts the sockets of `ws` where Deno has its own. A file of its own, because Deno
 * loads whatever it sees that a module might import.
 */

import { WebSocket, WebSocketServer } from "ws";

Object.assign(globalThis, { WebSocket, WebSocketServer });
