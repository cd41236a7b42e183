/** The WebSockets of the runtime at hand: Deno's own, or in Node those of `ws` (`node_sockets.ts`). */

import type { WebSocketServer } from "ws";

/** Whether this is Deno; otherwise it is Node. */
export const isDeno: boolean = "Deno" in globalThis;

/** Listens on a free port of 127.0.0.1, hands over each socket once it is open, and returns the URL. */
export async function listen(
  accept: (socket: WebSocket) => void,
): Promise<string> {
  if (isDeno) {
    const { addr } = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.addEventListener("open", () => accept(socket));
        return response;
      },
    );
    return `ws://127.0.0.1:${addr.port}/`;
  }
  const { WebSocketServer: Server } = globalThis as unknown as {
    WebSocketServer: typeof WebSocketServer;
  };
  const server = new Server({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => accept(socket as unknown as WebSocket));
  await new Promise((resolve) => server.on("listening", resolve));
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

/** Connects, and resolves once the socket is open. */
export function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    socket.onopen = (): void => resolve(socket);
    socket.onerror = (): void => reject(new Error(`Cannot connect to ${url}`));
  });
}
