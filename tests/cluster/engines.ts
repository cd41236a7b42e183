/**
 * Engines as a program makes them: with the clients that are kept well, set as the
 * guide says.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import type { Engine } from "../../cluster.ts";
import { nats } from "../../nats.ts";
import { redis } from "../../redis.ts";
import type { EngineKind } from "./servers.ts";

/** Where an engine listens, on this machine. */
export interface EngineAddress {
  readonly kind: EngineKind;
  readonly port: number;
}

/** An engine, and how to end the connections that were made for it. */
export interface Connected {
  readonly engine: Engine;
  end(): Promise<void>;
}

/** Connects to an engine. */
export async function connectEngine(
  { kind, port }: EngineAddress,
): Promise<Connected> {
  const url = `${kind}://127.0.0.1:${port}`;
  if (kind === "nats") {
    const connection = await connect({
      servers: url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      pingInterval: 5_000,
    });
    return { engine: nats(connection), end: () => connection.close() };
  }
  const publisher = createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: 5_000,
    socket: { socketTimeout: 15_000 },
  });
  const subscriber = publisher.duplicate();
  for (const client of [publisher, subscriber]) {
    client.on("error", () => {}); // The engine tells of it.
    await client.connect();
  }
  return {
    engine: redis(publisher, subscriber),
    end() {
      for (const client of [publisher, subscriber]) client.destroy();
      return Promise.resolve();
    },
  };
}
