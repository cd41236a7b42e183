/** The client of Socket.IO. */

import { io } from "socket.io-client";
import type { Client } from "../contender.ts";

export function connect(url: string): Client {
  // A connection of its own for each, or all would share the first.
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  return {
    add: (a, b) => socket.emitWithAck("add", a, b),
    item: (id) => socket.emitWithAck("item", id),
    echo: (item) => socket.emitWithAck("echo", item),
    announce: (n) => socket.emitWithAck("announce", n),
    listen: (take) => void socket.on("news", take),
    count: async (to, take) => {
      socket.on("value", take);
      await socket.emitWithAck("count", to);
      socket.off("value", take);
    },
  };
}
