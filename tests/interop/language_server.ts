/**
 * TypeScript's language server for whoever connects, as vscode-ws-jsonrpc puts
 * it behind a WebSocket: a process of its own for each connection. Prints its
 * address.
 *
 * @module
 */

// Imported so that Deno fetches the packages whose files Node runs.
import "typescript-language-server/package.json" with { type: "json" };
import "typescript/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { Message } from "vscode-jsonrpc";
import type { InitializeParams } from "vscode-languageserver-protocol";
import { toSocket } from "vscode-ws-jsonrpc";
import {
  createServerProcess,
  createWebSocketConnection,
  forward,
} from "vscode-ws-jsonrpc/server";
// @ts-types="@types/ws"
import { type WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { node24 } from "./node_program.ts";

const program = fileURLToPath(
  import.meta.resolve("typescript-language-server/lib/cli.mjs"),
);
const tsserver = fileURLToPath(
  import.meta.resolve("typescript/lib/tsserver.js"),
);

/** Tells where TypeScript is: no `node_modules` here has one to be found. */
function addOptions(message: Message): Message {
  if (!Message.isRequest(message) || message.method !== "initialize") {
    return message;
  }
  const params = message.params as InitializeParams;
  const initializationOptions = {
    ...params.initializationOptions,
    tsserver: {
      ...params.initializationOptions?.tsserver,
      path: tsserver,
    },
    // It would fetch types from the network.
    disableAutomaticTypingAcquisition: true,
  };
  return {
    ...message,
    params: { ...params, initializationOptions },
  } as Message;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (socket: NodeWebSocket) => {
  const client = createWebSocketConnection(
    toSocket(socket as unknown as WebSocket),
  );
  const languageServer = createServerProcess("TypeScript", node24, [
    program,
    "--stdio",
  ])!;
  forward(client, languageServer, addOptions);
});
server.on("listening", () => {
  const { port } = server.address() as { port: number };
  console.log(`Language server at ws://127.0.0.1:${port}/`);
});
