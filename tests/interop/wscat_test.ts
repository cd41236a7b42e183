/**
 * wscat, the WebSocket's telnet, in a terminal: somebody types requests to this
 * server by hand, and answers its calls by hand.
 *
 * @see {@link https://github.com/websockets/wscat}
 */

import { assertEquals } from "@std/assert";
import { Peer } from "../../mod.ts";
import { serve, type Server, type ServicePeer } from "../../server.ts";
import config from "../../deno.json" with { type: "json" };
import { debian, type Program, start } from "./processes.ts";

const quietly = { hostname: "127.0.0.1", port: 0, onListen() {} };

/** Starts it in a terminal of its own: it treats a pipe differently. */
async function startWscat(
  server: Server<ServicePeer>,
  ...options: string[]
): Promise<Program> {
  const words = [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-lock",
    "--allow-env",
    "--allow-net",
    "--allow-read",
    "--allow-sys",
    config.scopes["./"].wscat,
    "--no-color",
    ...options,
    "-c",
    server.url,
  ];
  const command = words.map((word) => `'${word}'`).join(" ");
  return await start(await debian("bsdutils", "script"), {
    args: ["--quiet", "--return", "--flush", "--command", command, "/dev/null"],
    line: "Connected",
  });
}

Deno.test("serve answers what is typed into wscat, and what is mistyped", async () => {
  // recipe: wscat
  class Greeter extends Peer<{ ask(question: string): string }> {
    override local = {
      add: (a: number, b: number) => a + b,
      hello: async (name: string) => {
        const mood = await this.remote.ask(`How are you, ${name}?`);
        return `Glad you are ${mood}`;
      },
    };
  }
  const server = serve(Greeter, quietly); // { port: 8889 }
  // end

  await using wscat = await startWscat(server);
  const type = async (typed: string, answer: string) => {
    await wscat.write(`${typed}\n`);
    await wscat.line(`< ${answer}`);
  };
  await type(
    '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}',
    '{"jsonrpc":"2.0","result":3,"id":1}',
  );
  await type(
    '{"jsonrpc":"2.0","method":"hello","params":["ann"],"id":2}',
    '{"jsonrpc":"2.0","method":"ask","params":["How are you, ann?"],"id":1}',
  );
  await type(
    '{"jsonrpc":"2.0","result":"fine","id":1}',
    '{"jsonrpc":"2.0","result":"Glad you are fine","id":2}',
  );
  await type(
    "{method: add}",
    '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}',
  );
  await type(
    '{"jsonrpc":"2.0","method":"ad","id":3}',
    '{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":3}',
  );
  // An empty line is no message and gets no answer; what follows it gets its own.
  await wscat.write("\n");
  await type(
    '{"jsonrpc":"2.0","method":"add","params":[2,2],"id":4}',
    '{"jsonrpc":"2.0","result":4,"id":4}',
  );
  assertEquals(wscat.lines.filter((line) => line.includes("< ")).length, 6);

  await server.shutdown();
  await wscat.line("Disconnected (code: 1001");
  await wscat.ended;
});

Deno.test("serve answers wscat in 1.0 if it types so, and hears the code of its close", async () => {
  const closed = Promise.withResolvers<number>();
  await using server = serve({
    local: { add: (a: number, b: number) => a + b },
    onclose: ({ code }) => closed.resolve(code),
    ...quietly,
  });
  await using wscat = await startWscat(server, "--slash");
  await wscat.write('{"method":"add","params":[1,2],"id":1}\n');
  await wscat.line('< {"id":1,"result":3,"error":null}');
  await wscat.write("/close 4001 bye\n");
  assertEquals(await closed.promise, 4001);
  await wscat.ended;
});
