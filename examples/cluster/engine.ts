/**
 * The engine of the chat on many servers: a connection to NATS or Redis by its
 * address, as docs/guide/engines.md says.
 *
 * @module
 */

// The client of Redis wants Node's types; older ones lack what ../static.ts uses.
/// <reference types="npm:@types/node@^26.0.0" />

import { connect } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import type { Engine } from "../../cluster.ts";
import { nats } from "../../nats.ts";
import { redis } from "../../redis.ts";

/** An engine, and the function that closes its connections. */
export interface Connected {
  readonly engine: Engine;
  readonly close: () => Promise<unknown>;
}

/**
 * Connects to an engine.
 *
 * @param address "nats://127.0.0.1:4222" or "redis://127.0.0.1:6379".
 */
export async function connectEngine(address: string): Promise<Connected> {
  if (address.startsWith("nats:")) {
    const connection = await connect({
      servers: address,
      maxReconnectAttempts: -1,
      pingInterval: 5_000,
    });
    return { engine: nats(connection), close: () => connection.close() };
  }
  const publisher = createClient({
    url: address,
    disableOfflineQueue: true,
    pingInterval: 5_000,
    socket: { socketTimeout: 15_000 },
  });
  const subscriber = publisher.duplicate();
  const engine = redis(publisher, subscriber);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return {
    engine,
    close: () => Promise.all([publisher.close(), subscriber.close()]),
  };
}
