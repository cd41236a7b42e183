/** What a client does in each project: what it gets, and what must not compile. */

import { ErrorCode, type Peer, RpcError } from "@jsonrpcws/peer";
import type { Json, Order, Page, Shop } from "./service.js";

/** What it lets be called. */
export const page = { ask: (question: string) => `ann (${question})` };

/** A client of the shop. */
export type Client = Peer<Shop["local"]>;

/** Says "ok", or what is wrong. */
export async function exercise({ remote }: Client): Promise<string> {
  const order: Order = await remote.order({ id: 1, lines: ["a"] });
  const greeting: string = await remote.greet();
  const sum: number = await remote.each(["ann", "bo"], (name) => name.length);
  let counted = 0;
  for await (const n of remote.count(3)) counted += n;
  const json: Json = await remote.json();
  const found: string | null = await remote.find(2);
  const bound: number = await remote.each.call({ secret: 1 }, [], () => 1);
  let code: number = 0;
  try {
    await remote.refuse();
  } catch (error) {
    if (error instanceof RpcError) code = error.code;
  }
  const forbidden: -32051 = ErrorCode.Forbidden;
  const said = JSON.stringify([order, greeting, sum, counted, json, found])
    .concat(JSON.stringify([bound, code === forbidden]));
  const expected =
    '[{"id":2,"lines":["a"]},"hi, ann (Who are you?)",5,6,{"deep":[1,null]},null][0,true]';
  return said === expected ? "ok" : said;
}

/** What must not compile, in any project: none of it is any. */
export async function wrong(client: Client): Promise<void> {
  const { remote } = client;
  // @ts-expect-error: the id is a number.
  await remote.order({ id: "1", lines: [] });
  // @ts-expect-error: a line is a string.
  await remote.order({ id: 1, lines: [1] });
  // @ts-expect-error: it answers a number.
  await remote.each([], (name) => name);
  // @ts-expect-error: it is another code.
  const code: -32050 = ErrorCode.Forbidden;
  // @ts-expect-error: there is no such method.
  await remote.orders();
  // @ts-expect-error: it asks for a string.
  const asked: Page = { ask: (question: number) => `${question}${code}` };
  // @ts-expect-error: it has no such option.
  client.with({ timeOut: 5, asked });
}
