/**
 * The clients as any runtime runs them, sources as they are.
 */

import { connect } from "../client.ts";
import {
  ConnectionClosedError,
  type Definition,
  marshal,
  type RpcError,
} from "../mod.ts";
import * as slim from "../slim.ts";

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

/** What {@linkcode exercise} has to say of one client. */
export const one: readonly unknown[] = [
  "[remote add]",
  3,
  "hi, server",
  7,
  1,
  2,
  7,
  "who? ann",
  "kept",
  "TimeoutError",
  "TimeoutError",
  4000,
  true,
  4000,
];

/** Connects a client. */
export type Connect = (
  url: string,
  definition: Definition,
) => slim.Peer<Contract>;

/** The clients that every runtime has. */
export const clients: readonly Connect[] = [
  (url, definition) => connect<Contract>(url, definition),
  (url, definition) =>
    slim.connect<Contract>(url, {
      ...definition,
      use: [slim.streams, slim.references],
    }),
];

/** Does a bit of everything, with each client, and says what came of it. */
export async function exercise(
  url: string,
  connects: readonly Connect[] = clients,
): Promise<unknown[][]> {
  const done: unknown[][] = [];
  for (const connect of connects) done.push(await exerciseWith(connect, url));
  return done;
}

async function exerciseWith(
  connect: Connect,
  url: string,
): Promise<unknown[]> {
  const done: unknown[] = [];
  const client = connect(url, {
    local: { greet: (name: string) => `hi, ${name}` },
    onclose: ({ code }) => void done.push(code),
  });
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
