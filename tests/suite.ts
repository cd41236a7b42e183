/**
 * The tests of what is the same on all servers, as Node and Bun run them: bundled,
 * with as much of `Deno` as they use, and what Bun's alone does. A line of JSON for
 * each tells how it went.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import { inspect } from "node:util";

/** How one went. */
export interface Outcome {
  title: string;
  /** What was thrown; absent if it went well. */
  error?: string;
}

const tests: [title: string, test: () => unknown][] = [];

/** A connection, as Deno has it. */
class Connection {
  readonly #socket: Socket;
  #hasEnded = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("end", () => this.#hasEnded = true);
    socket.on("close", () => this.#hasEnded = true);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const socket = this.#socket;
    for (;;) {
      const chunk: Uint8Array | null = socket.read();
      if (chunk !== null) {
        if (chunk.length > buffer.length) {
          socket.unshift(chunk.subarray(buffer.length));
        }
        const taken = chunk.subarray(0, buffer.length);
        buffer.set(taken);
        return taken.length;
      }
      if (this.#hasEnded) return null;
      await new Promise<void>((resolve) => {
        for (const event of ["readable", "end", "close"]) {
          socket.once(event, () => resolve());
        }
      });
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#socket.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      )
    );
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class UnexpectedEof extends Error {}

Object.assign(globalThis, {
  Deno: {
    test: (title: string, test: () => unknown) => tests.push([title, test]),
    connect: ({ hostname, port }: { hostname: string; port: number }) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: hostname, port, allowHalfOpen: true });
        socket.on("error", reject);
        socket.on("connect", () => resolve(new Connection(socket)));
      }),
    inspect,
    errors: { UnexpectedEof, ConnectionReset: UnexpectedEof },
  },
});

await import("./bun.ts");
await import("./suite_files.ts");

const { platforms } = await import("./servers.ts");
for (const [title, test] of tests) {
  if (!platforms.some(({ name }) => title.endsWith(` on ${name}`))) continue;
  const outcome: Outcome = { title };
  try {
    await Promise.race([
      test(),
      new Promise((_, reject) =>
        setTimeout(reject, 60_000, new Error("It takes longer than a minute"))
      ),
    ]);
  } catch (error) {
    outcome.error = inspect(error);
  }
  console.log(JSON.stringify(outcome));
}
process.exit();
