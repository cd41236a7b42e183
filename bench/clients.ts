/** The clients of one process: connected as rows ask for them, and kept. */

import type { Client } from "./contender.ts";

// Handshakes at a time: few, because a server's backlog is not measured here.
const atATime = 50;

export class Clients {
  readonly #connect: () => Client | Promise<Client>;
  readonly #clients: Client[] = [];

  /** @param connect Connects one more. */
  constructor(connect: () => Client | Promise<Client>) {
    this.#connect = connect;
  }

  /** The number of clients. */
  get size(): number {
    return this.#clients.length;
  }

  /** The first clients, that many; each new one has had an answer. */
  async take(count: number): Promise<Client[]> {
    const missing = () => count - this.#clients.length;
    while (missing() > 0) {
      const connecting = Array.from(
        { length: Math.min(missing(), atATime) },
        () => this.#greet(),
      );
      this.#clients.push(...await Promise.all(connecting));
    }
    return this.#clients.slice(0, count);
  }

  async #greet(): Promise<Client> {
    const client = await this.#connect();
    const sum = await client.add(1, 2);
    if (sum !== 3) throw new Error(`Wrong answer: add(1, 2) is ${sum}`);
    return client;
  }
}
