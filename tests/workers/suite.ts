/**
 * The tests of what is the same on all servers, as a Durable Object in workerd runs them:
 * bundled, with as much of `Deno` as they use. A line of JSON for each tells how it
 * went.
 *
 * @module
 */

import type { Outcome } from "../suite.ts";
import type { ObjectState } from "../../workers.ts";
import { handlers, place } from "./served.ts";

/** A socket of `cloudflare:sockets`. */
interface Tcp {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<void>;
}

/** The runtime's own, which no bundler finds. */
const sockets: string = "cloudflare:sockets";

interface Sockets {
  connect(address: { hostname: string; port: number }): Tcp;
}

/** A connection, as Deno has it. */
class Connection {
  readonly #tcp: Tcp;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(tcp: Tcp) {
    this.#tcp = tcp;
    this.#reader = tcp.readable.getReader();
    this.#writer = tcp.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      // Whether it was ended or cut, nothing more comes.
      const chunk = await this.#reader.read().catch(() => undefined);
      if (chunk?.value === undefined) return null;
      this.#rest = chunk.value;
    }
    const taken = this.#rest.subarray(0, buffer.length);
    this.#rest = this.#rest.subarray(taken.length);
    buffer.set(taken);
    return taken.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#writer.write(bytes);
    return bytes.length;
  }

  close(): void {
    this.#tcp.close().catch(() => {});
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const tests: [title: string, test: () => unknown][] = [];

function inspect(value: unknown): string {
  return value instanceof Error
    ? `${value.stack ?? value}${
      value.cause === undefined ? "" : `\nCause: ${inspect(value.cause)}`
    }`
    : typeof value === "object"
    ? JSON.stringify(value)
    : String(value);
}

class UnexpectedEof extends Error {}

/** Runs one test. */
async function run(title: string, test: () => unknown): Promise<Outcome> {
  try {
    await Promise.race([
      test(),
      new Promise((_, reject) =>
        setTimeout(reject, 60_000, new Error("It takes longer than a minute"))
      ),
    ]);
    return { title };
  } catch (error) {
    return { title, error: inspect(error) };
  }
}

/** The object in which all of it happens. */
export class Stage {
  constructor(ctx: ObjectState) {
    place.ctx = ctx;
    const { fetch: _, ...events } = handlers;
    Object.assign(this, events);
  }

  fetch(request: Request): Response | Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    if (pathname !== "/run") return handlers.fetch(request);
    place.origin = origin;
    const { readable, writable } = new TransformStream<Uint8Array>();
    void this.#runAll(writable.getWriter());
    return new Response(readable);
  }

  async #runAll(
    writer: WritableStreamDefaultWriter<Uint8Array>,
  ): Promise<void> {
    const { connect }: Sockets = await import(sockets);
    Object.assign(globalThis, {
      Deno: {
        test: (title: string, test: () => unknown) => tests.push([title, test]),
        connect: (address: { hostname: string; port: number }) =>
          Promise.resolve(new Connection(connect(address))),
        inspect,
        errors: { UnexpectedEof, ConnectionReset: UnexpectedEof },
      },
    });
    try {
      await import("../suite_files.ts");
    } catch (error) {
      tests.push(["The tests are imported, on workerd", () => {
        throw error;
      }]);
    }
    const encoder = new TextEncoder();
    for (const [title, test] of tests) {
      if (!title.endsWith(" on workerd")) continue;
      const line = `${JSON.stringify(await run(title, test))}\n`;
      await writer.write(encoder.encode(line));
    }
    await writer.close();
  }
}

interface Env {
  STAGE: {
    getByName(name: string): { fetch(request: Request): Promise<Response> };
  };
}

export default {
  fetch: (request: Request, { STAGE }: Env): Promise<Response> =>
    STAGE.getByName("all").fetch(request),
};
