/**
 * A smoke test of the engines, for Node: publishes a thousand texts to itself, appends
 * a hundred and reads them, closes, and ends by itself, since nothing is left.
 *
 * @module
 */

import process from "node:process";
import { connect } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import { nats } from "../../nats.ts";
import { redis } from "../../redis.ts";
import type { Engine } from "../../src/cluster/engine.ts";

const [kind, port] = process.argv.slice(2);
const url = `${kind}://127.0.0.1:${port}`;
let end: () => unknown;
let engine: Engine;
if (kind === "nats") {
  const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
  engine = nats(connection);
  end = () => connection.close();
} else {
  const publisher = createClient({ url, disableOfflineQueue: true });
  const subscriber = publisher.duplicate();
  engine = redis(publisher, subscriber);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  end = () => Promise.all([publisher.close(), subscriber.close()]);
}
const { status } = engine;
let received = 0;
let isWhole: () => void;
const whole = new Promise<void>((resolve) => isWhole = resolve);
await engine.subscribe("a", (text) => {
  if (text === `${received++}` && received === 1_000) isWhole();
});
for (let number = 0; number < 1_000; number++) {
  await engine.publish("a", `${number}`);
}
await whole;
const log = await engine.openLog!("log", {
  messages: 100,
  milliseconds: 5_000,
});
let last = 0;
for (let number = 0; number < 100; number++) {
  last = (await log.append("log.a", `${number}`)).offset;
}
const stretch = await log.read("log.a", 1, 256);
const isRead = stretch.last === last &&
  stretch.entries.every(({ text }, index) => text === `${index}`);
await engine.close();
await end();
console.log(status, received, isRead && stretch.entries.length, engine.status);
