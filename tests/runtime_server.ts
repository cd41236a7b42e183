/**
 * What the clients of `runtime_client.ts` talk to, whatever serves it, sources as they
 * are: the service, and pages in which they run.
 *
 * @module
 */

import { Peer, RpcError } from "../mod.ts";

/** A bit of everything. */
export class Service extends Peer<{ greet(name: string): string }> {
  override local = {
    add: (a: number, b: number): number => a + b,
    greetMe: (): Promise<string> => this.remote.greet("server"),
    refuse: (): never => {
      throw new RpcError(7, "No");
    },
    count: async function* (to: number): AsyncGenerator<number> {
      for (let n = 1; n <= to; n++) yield await Promise.resolve(n);
    },
    sum: async (numbers: AsyncIterable<number>): Promise<number> => {
      let sum = 0;
      for await (const n of numbers) sum += n;
      return sum;
    },
    ask: (
      question: string,
      answer: (text: string) => Promise<string>,
    ): Promise<string> => answer(question),
    keep: (box: { get(): Promise<string> }): Promise<string> => box.get(),
    never: (): Promise<void> => new Promise<void>(() => {}),
  };
}

const script = `
  import { exercise } from "/client.js";
  const done = await exercise(location.href);
  document.querySelector("pre").textContent = JSON.stringify(done);
`;

/** Answers with a page that shows what came of it, and with its script. */
export function answerWith(code: string): (request: Request) => Response {
  const files: { readonly [path: string]: [type: string, text: string] } = {
    "/": [
      "text/html",
      `<!doctype html><link rel="icon" href="data:,"><pre></pre><script type="module">${script}</script>`,
    ],
    "/client.js": ["text/javascript", code],
  };
  return (request) => {
    const [type, text] = files[new URL(request.url).pathname] ?? [];
    return text === undefined
      ? new Response(null, { status: 404 })
      : new Response(text, { headers: { "content-type": type! } });
  };
}
