/** Connections to Redis, of its own client: one that publishes, one that subscribes. */

import { createClient } from "@redis/client";

type Client = ReturnType<typeof createClient>;

export async function connections(
  url: string,
): Promise<[publisher: Client, subscriber: Client]> {
  const publisher = createClient({ url, disableOfflineQueue: true });
  const subscriber = publisher.duplicate();
  for (const client of [publisher, subscriber]) {
    client.on("error", console.error);
    await client.connect();
  }
  return [publisher as Client, subscriber as Client];
}
