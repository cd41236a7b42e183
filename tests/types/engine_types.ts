/**
 * What compiles and what must not, of the engines: the clients' own connections fit as
 * they are. Nothing here runs.
 */

import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import {
  createClient,
  createClientPool,
  createCluster,
  createSentinel,
  type RedisClientType,
} from "@redis/client";
import { nats } from "../../nats.ts";
import { redis } from "../../redis.ts";
import type { Engine } from "../../src/cluster/engine.ts";

export async function typed(
  connection: NatsConnection,
  client: RedisClientType,
): Promise<readonly Engine[]> {
  const fitting = [
    nats(connection),
    nats(await connect({ maxReconnectAttempts: -1 })),
    redis(client, client),
    redis(createClient(), createClient().duplicate()),
    redis(createClient({ RESP: 2 }), await createClient().connect()),
  ];
  const pool = createClientPool();
  // @ts-expect-error: whose connection would subscribe is not known.
  redis(client, pool);
  // @ts-expect-error: its nodes count their own subscribers only.
  redis(createCluster({ rootNodes: [] }), client);
  const sentinel = createSentinel({ name: "a", sentinelRootNodes: [] });
  // @ts-expect-error: its connections come and go behind it.
  redis(sentinel, client);
  // @ts-expect-error: it takes two.
  redis(client);
  // @ts-expect-error: that is another server's.
  nats(client);
  return fitting;
}
