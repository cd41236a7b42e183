/** The WebSockets of the runtime at hand: Deno's and Bun's own, or in Node those of `ws` (`node_sockets.ts`). */

import type { WebSocketServer } from "ws";

/** True in Deno. */
export const isDeno: boolean = "Deno" in globalThis;

/** True in Bun; Node is neither. */
export const isBun: boolean = "Bun" in globalThis;

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
  if (isBun) return listenOnBun(accept);
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

/** A socket of Bun's; its `data` has the listeners for its messages. */
interface BunSocket {
  readonly data: { hear?: (event: { data: string }) => void };
  send(text: string): void;
}

/** The same on Bun, with the least code between its sockets and their users. */
function listenOnBun(accept: (socket: WebSocket) => void): string {
  const { Bun } = globalThis as unknown as {
    Bun: { serve(options: object): { port: number } };
  };
  const { port } = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(
      request: Request,
      server: { upgrade(request: Request, options: object): boolean },
    ) {
      server.upgrade(request, { data: {} });
    },
    websocket: {
      open: (ws: BunSocket) =>
        accept(
          {
            send: (text: string) => ws.send(text),
            addEventListener(_: string, hear: () => void) {
              ws.data.hear = hear;
            },
          } as unknown as WebSocket,
        ),
      message: (ws: BunSocket, data: string) => ws.data.hear!({ data }),
    },
  });
  return `ws://127.0.0.1:${port}/`;
}
