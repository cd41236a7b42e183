/**
 * The package websockets of Python as a client of this server, in the few lines
 * that somebody writes who has no JSON-RPC library.
 *
 * @see {@link https://websockets.readthedocs.io}
 */

import { assertEquals } from "@std/assert";
import { type CloseInfo, Peer, RpcError } from "../../mod.ts";
import { serve, type Server, type ServicePeer } from "../../server.ts";
import { debianPython, type Program, start, until } from "./processes.ts";

const quietly = { hostname: "127.0.0.1", port: 0, onListen() {} };

async function startClient(
  task: string,
  server: Server<ServicePeer>,
): Promise<Program> {
  const python = await debianPython({ "python3-websockets": "websockets" });
  const script = new URL("websockets_client.py", import.meta.url).pathname;
  return await start(python, { args: [script, task, server.url] });
}

/** The responses to a batch come in any order. */
function byId(a: { id: unknown }, b: { id: unknown }): number {
  return String(a.id) < String(b.id) ? -1 : 1;
}

const closes: CloseInfo[] = [];

class Service extends Peer {
  override local = {
    add: (a: number, b: number) => a + b,
    later: (value: unknown) => Promise.resolve(value),
    length: (text: string) => text.length,
    text: (length: number) => "x".repeat(length),
    announce: (text: string) => {
      this.notify("announced", [text]);
    },
    refuse() {
      throw new RpcError(7, "not today", { tomorrow: "né" });
    },
    leave: () => this.close(4001, "off you go"),
  };
  override onclose(event: CloseInfo) {
    closes.push(event);
  }
}

Deno.test("serve answers a few lines of Python that it calls meanwhile", async () => {
  // recipe: websockets
  class Greeter extends Peer<{ ask(question: string): string }> {
    override local = {
      hello: async (name: string) => {
        this.notify("greeted", [name]);
        const mood = await this.remote.ask(`How are you, ${name}?`);
        return `Glad you are ${mood}`;
      },
    };
  }
  const server = serve(Greeter, quietly); // { port: 8889 }
  // end

  await using client = await startClient("call", server);
  assertEquals((await client.ended).code, 0);
  await client.stop();
  assertEquals(client.lines, [
    "told: greeted ann",
    "answer: Glad you are fine",
  ]);
  await server.shutdown();
});

Deno.test("serve reads what Python's websockets sends as text, bytes and fragments", async () => {
  closes.length = 0;
  await using server = serve(Service, quietly);
  await using client = await startClient("say", server);
  const { lines } = client;
  await client.line("open");

  const say = async (how: string, text: string, answers: string[]) => {
    const before = lines.length;
    await client.write(`${how} ${text}\n`);
    await until(
      () => lines.length >= before + answers.length,
      `an answer to ${text}`,
    );
    assertEquals(lines.slice(before), answers);
  };
  const add = '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":"ä"}';
  const three = 'str {"jsonrpc":"2.0","result":3,"id":"ä"}';
  await say("text", add, [three]);
  await say("binary", add, [three]);
  await say("fragments", add, [three]);
  await say("text", `  ${add}  `, [three]);
  await say(
    "text",
    '{"jsonrpc":"2.0","method":"announce","params":["hello"],"id":1}',
    [
      'str {"jsonrpc":"2.0","method":"announced","params":["hello"]}',
      'str {"jsonrpc":"2.0","result":null,"id":1}',
    ],
  );
  await say("text", '{"jsonrpc":"2.0","method":"refuse","id":2}', [
    'str {"jsonrpc":"2.0","error":{"code":7,"message":"not today","data":{"tomorrow":"né"}},"id":2}',
  ]);
  await say("text", '{"jsonrpc":"2.0","method":"missing","id":3}', [
    'str {"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":3}',
  ]);
  await say("text", '{"jsonrpc":"2.0","meth', [
    'str {"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}',
  ]);
  const batch =
    `[${add},{"jsonrpc":"2.0","method":"later","params":[5],"id":4},${'{"jsonrpc":"2.0","method":"length","params":[""]},1]'}`;
  await client.write(`text ${batch}\n`);
  const answer = await client.line("str [");
  assertEquals(JSON.parse(answer.slice("str ".length)).toSorted(byId), [
    { jsonrpc: "2.0", result: 5, id: 4 },
    {
      jsonrpc: "2.0",
      error: { code: -32600, message: "Invalid Request" },
      id: null,
    },
    { jsonrpc: "2.0", result: 3, id: "ä" },
  ]);
  await say("ping", "are you there?", ["pong are you there?"]);

  await client.write("close 4000\n");
  await client.endInput();
  await client.line("closed 4000 bye");
  await until(() => closes.length > 0, "the server saw it close");
  assertEquals(closes, [{ code: 4000, reason: "bye", wasClean: true }]);
});

Deno.test("serve takes and gives a mebibyte, and with sentLength refuses what Python's websockets would close for", async () => {
  const limits = { sentLength: 1_048_576 };
  await using server = serve(Service, { ...quietly, limits });
  await using client = await startClient("large", server);
  assertEquals((await client.ended).code, 0);
  await client.stop();
  assertEquals(client.lines, ["length True", "text True", "more -32008"]);
});

Deno.test("serve tells Python's websockets why it closes", async () => {
  await using server = serve(Service, quietly);
  await using leaving = await startClient("say", server);
  await leaving.line("open");
  await leaving.write('text {"jsonrpc":"2.0","method":"leave","id":1}\n');
  await leaving.endInput();
  assertEquals(await leaving.line("closed"), "closed 4001 off you go");

  await using staying = await startClient("say", server);
  await staying.line("open");
  await server.shutdown();
  const line = await staying.line("closed");
  assertEquals(line.split(" ")[1], "1001");
});
