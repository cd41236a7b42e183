/**
 * Both clients as any runtime runs them, sources as they are.
 */

import { connect, type CreateSocket } from "../client.ts";
import { ConnectionClosedError, type RpcError } from "../mod.ts";
import * as slim from "../slim.ts";
import { marshal, references } from "../src/parts/references.ts";
import { streams } from "../src/parts/streams.ts";

/** What the server lets be called. */
export interface Contract {
  add(a: number, b: number): number;
  refuse(): never;
  count(to: number): AsyncGenerator<number>;
  sum(numbers: AsyncIterable<number>): number;
  ask(question: string, answer: (text: string) => Promise<string>): string;
  keep(box: { get(): Promise<string> }): string;
  never(): void;
}

/**
 * Does a bit of everything, with each client, and says what came of it.
 *
 * @param createSocket Makes their sockets; the platform's, if it is left out.
 */
export async function exercise(
  url: string,
  createSocket?: CreateSocket,
): Promise<unknown[][]> {
  const options = { ...(createSocket !== undefined && { createSocket }) };
  return [
    await exerciseWith(connect, url, options),
    await exerciseWith(slim.connect, url, options),
  ];
}

async function exerciseWith(
  connectWith: typeof connect | typeof slim.connect,
  url: string,
  options: { createSocket?: CreateSocket },
): Promise<unknown[]> {
  const done: unknown[] = [];
  const client = (connectWith as typeof slim.connect)<Contract>(url, {
    local: { greet: (name: string) => `hi, ${name}` },
    onclose: ({ code }) => void done.push(code),
  }, { use: [streams, references], ...options });
  const { remote } = client;

  done.push(`${remote.add}`, await remote.add(1, 2));
  done.push(await client.request<string>("greetMe"));
  done.push(await remote.refuse().catch((error: RpcError) => error.code));
  for await (const n of remote.count(2)) done.push(n);
  async function* numbers(): AsyncGenerator<number> {
    for (const n of [3, 4]) yield await Promise.resolve(n);
  }
  done.push(await remote.sum(numbers()));
  done.push(await remote.ask("who?", (text) => `${text} ann`));
  done.push(
    await client.request<string>("keep", [marshal({ get: () => "kept" })]),
  );
  const slow = client.with({ timeout: 40.5 }).never();
  const hurried = client.with({ timeout: 20 }).never();
  done.push(await hurried.catch((error: DOMException) => error.name));
  done.push(await slow.catch((error: DOMException) => error.name));
  const cut = remote.never().catch((error) =>
    error instanceof ConnectionClosedError && error.sent
  );
  client.close(4000, "done");
  done.push(await cut, (await client.closed).code);
  return done;
}
