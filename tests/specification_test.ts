/**
 * The examples of section 7 of the JSON-RPC 2.0 specification, in its order and
 * under its titles, each frame as the specification prints it.
 *
 * @see {@link https://www.jsonrpc.org/specification#examples}
 */

import { assert, assertEquals } from "@std/assert";
import { Peer } from "../mod.ts";
import { ScriptedSocket, settle } from "./scripted_socket.ts";

const notified: string[] = [];

const local = {
  subtract: (
    ...params: [number, number] | [{ minuend: number; subtrahend: number }]
  ): number => {
    const [first, second] = params;
    return typeof first === "number"
      ? first - (second as number)
      : first.minuend - first.subtrahend;
  },
  update: () => void notified.push("update"),
  sum: (...terms: number[]) => terms.reduce((sum, term) => sum + term, 0),
  notify_hello: () => void notified.push("notify_hello"),
  notify_sum: () => void notified.push("notify_sum"),
  get_data: () => ["hello", 5],
};

/** What the peer must answer: one message, a batch in any order, or nothing. */
type Answer = object | object[] | undefined;

interface Exchange {
  frame: string;
  answer: Answer;
  /** The notifications' methods that must have run. */
  notified?: string[];
}

const examples: { title: string; exchanges: Exchange[] }[] = [
  {
    title: "rpc call with positional parameters",
    exchanges: [
      {
        frame:
          '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        answer: { jsonrpc: "2.0", result: 19, id: 1 },
      },
      {
        frame:
          '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        answer: { jsonrpc: "2.0", result: -19, id: 2 },
      },
    ],
  },
  {
    title: "rpc call with named parameters",
    exchanges: [
      {
        frame:
          '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        answer: { jsonrpc: "2.0", result: 19, id: 3 },
      },
      {
        frame:
          '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        answer: { jsonrpc: "2.0", result: 19, id: 4 },
      },
    ],
  },
  {
    title: "a Notification",
    exchanges: [
      {
        frame: '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}',
        answer: undefined,
        notified: ["update"],
      },
      {
        frame: '{"jsonrpc": "2.0", "method": "foobar"}',
        answer: undefined,
      },
    ],
  },
  {
    title: "rpc call of non-existent method",
    exchanges: [{
      frame: '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
      answer: {
        jsonrpc: "2.0",
        error: { code: -32601, message: "Method not found" },
        id: "1",
      },
    }],
  },
  {
    title: "rpc call with invalid JSON",
    exchanges: [{
      frame: '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
      answer: {
        jsonrpc: "2.0",
        error: { code: -32700, message: "Parse error" },
        id: null,
      },
    }],
  },
  {
    title: "rpc call with invalid Request object",
    exchanges: [{
      frame: '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
      answer: {
        jsonrpc: "2.0",
        error: { code: -32600, message: "Invalid Request" },
        id: null,
      },
    }],
  },
  {
    title: "rpc call Batch, invalid JSON",
    exchanges: [{
      frame: `[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]`,
      answer: {
        jsonrpc: "2.0",
        error: { code: -32700, message: "Parse error" },
        id: null,
      },
    }],
  },
  {
    title: "rpc call with an empty Array",
    exchanges: [{
      frame: "[]",
      answer: {
        jsonrpc: "2.0",
        error: { code: -32600, message: "Invalid Request" },
        id: null,
      },
    }],
  },
  {
    title: "rpc call with an invalid Batch (but not empty)",
    exchanges: [{
      frame: "[1]",
      answer: [{
        jsonrpc: "2.0",
        error: { code: -32600, message: "Invalid Request" },
        id: null,
      }],
    }],
  },
  {
    title: "rpc call with invalid Batch",
    exchanges: [{
      frame: "[1,2,3]",
      answer: [1, 2, 3].map(() => ({
        jsonrpc: "2.0",
        error: { code: -32600, message: "Invalid Request" },
        id: null,
      })),
    }],
  },
  {
    title: "rpc call Batch",
    exchanges: [{
      frame: `[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]`,
      answer: [
        { jsonrpc: "2.0", result: 7, id: "1" },
        { jsonrpc: "2.0", result: 19, id: "2" },
        {
          jsonrpc: "2.0",
          error: { code: -32600, message: "Invalid Request" },
          id: null,
        },
        {
          jsonrpc: "2.0",
          error: { code: -32601, message: "Method not found" },
          id: "5",
        },
        { jsonrpc: "2.0", result: ["hello", 5], id: "9" },
      ],
      notified: ["notify_hello"],
    }],
  },
  {
    title: "rpc call Batch (all notifications)",
    exchanges: [{
      frame: `[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]`,
      answer: undefined,
      notified: ["notify_sum", "notify_hello"],
    }],
  },
];

/** The specification's message, where ours says more after a colon. */
function withoutDetail(message: unknown): unknown {
  const { error } = message as { error?: { message: string } };
  if (error !== undefined) error.message = error.message.split(":")[0]!;
  return message;
}

for (const { title, exchanges } of examples) {
  Deno.test(`Peer answers the specification's example "${title}"`, async () => {
    const socket = new ScriptedSocket();
    const peer = new Peer(socket, { local });
    await settle();
    for (const exchange of exchanges) {
      notified.length = 0;
      socket.receive(exchange.frame);
      await settle();
      const sent = socket.take();
      if (exchange.answer === undefined) assertEquals(sent, []);
      else {
        assertEquals(sent.length, 1);
        const answer = sent[0];
        assertEquals(Array.isArray(answer), Array.isArray(exchange.answer));
        const messages = Array.isArray(answer) ? answer : [answer];
        for (const message of messages) withoutDetail(message);
        assertEquals(answer, exchange.answer);
      }
      assertEquals(notified, exchange.notified ?? []);
    }
    assertEquals(socket.closes, []);
    peer.close();
    socket.end();
  });
}

Deno.test("Peer sends the specification's first example as a client", async () => {
  const socket = new ScriptedSocket();
  const peer = new Peer(socket);
  await settle();

  const result = peer.request("subtract", [42, 23]);
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "subtract", params: [42, 23], id: 1 },
  ]);
  socket.receive('{"jsonrpc": "2.0", "result": 19, "id": 1}');
  assertEquals(await result, 19);

  assert(peer.notify("update", [1, 2, 3, 4, 5]));
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "update", params: [1, 2, 3, 4, 5] },
  ]);
  peer.close();
  socket.end();
});
