/**
 * What the types refuse, given by who has none: an error that says what to give, on
 * every server and of each client.
 */

import { assertRejects, assertThrows } from "@std/assert";
import * as bun from "../bun.ts";
import * as client from "../client.ts";
import { Peer } from "../mod.ts";
import * as node from "../node.ts";
import * as deno from "../server.ts";
import * as slim from "../slim.ts";
import { socketPair } from "../testing.ts";
import * as workers from "../workers.ts";
import { bothTest } from "./servers.ts";

class Chat extends Peer {}
class Other {}
class Small extends slim.Peer {}

function makePeer(): Peer {
  return new Chat(socketPair()[0]);
}

/** A function, called as JavaScript calls it. */
type Call = (...args: unknown[]) => unknown;

const give =
  "give a class that extends Peer, or a definition, { local: { hello: () => 1 } }";

/** What is served, and why it is not. */
const services: readonly [args: () => unknown[], why: string][] = [
  [() => [], `Cannot serve undefined: ${give}`],
  [() => [null], `Cannot serve null: ${give}`],
  [() => [8000], `Cannot serve 8000: ${give}`],
  [() => ["Chat"], `Cannot serve "Chat": ${give}`],
  [() => [() => {}], `Cannot serve a function: ${give}`],
  [() => [Other], `Cannot serve class Other: ${give}`],
  [
    () => [makePeer()],
    "Cannot serve an instance of Chat: it has its connection, give the class Chat or a definition",
  ],
  [
    () => [Small],
    "Cannot serve class Small: a server needs more than the small one has, extend Peer of @jsonrpcws/peer",
  ],
  [
    () => [{ port: 0 }, Chat],
    "Cannot serve a definition with class Chat: the class goes first, its settings behind it",
  ],
  [
    () => [Chat, 8000],
    "Cannot serve with settings that are 8000: give an object",
  ],
];

const list = 'give a list, a function, or "*"';
const whole = 'write it as a browser does, "https://example.com"';

/** Options that are wrong, of a definition as of a class, and why. */
const options: readonly [options: object, why: string][] = [
  [{ onopen: 5 }, "Cannot set onopen: it must be a function, got 5"],
  [{ onclose: "bye" }, 'Cannot set onclose: it must be a function, got "bye"'],
  [{ onerror: null }, "Cannot set onerror: it must be a function, got null"],
  [{ local: 5 }, "Cannot set local: it must be an object of functions, got 5"],
  [
    { local: Chat },
    "Cannot set local: it must be an object of functions, got class Chat",
  ],
  [
    { authorize: true },
    "Cannot set authorize: it must be a function, got true",
  ],
  [
    { addressOf: {} },
    "Cannot set addressOf: it must be a function, got an object",
  ],
  [
    { onrefuse: [] },
    "Cannot set onrefuse: it must be a function, got an array",
  ],
  [
    { limits: 5 },
    "Cannot set limits: it must be an object, got 5",
  ],
  [
    { protocols: "chat" },
    'Cannot set protocols: they must be an array, ["chat"], got "chat"',
  ],
  [{ origins: true }, `Cannot allow origins true: ${list}`],
  [
    { origins: "https://example.com" },
    `Cannot allow origins "https://example.com": ${list}`,
  ],
  [
    { origins: [/example/] },
    "Cannot allow origin an object: a list has strings, give a function that decides",
  ],
  [
    { origins: ["https://*.example.com"] },
    'Cannot allow origin "https://*.example.com": a list has whole origins, give a function that knows the pattern',
  ],
  [{ origins: ["example.com"] }, `Cannot allow origin "example.com": ${whole}`],
  [
    { origins: ["https://example.com/chat"] },
    `Cannot allow origin "https://example.com/chat": ${whole}`,
  ],
  [
    { hosts: true },
    'Cannot go by hosts true: give a list, "loopback", or "*"',
  ],
  [
    { hosts: ["https://example.com"] },
    'Cannot go by host "https://example.com": write a name or an address alone, "example.com"',
  ],
];

const port = "it must be a whole number of 0 to 65,535";
const ports: readonly [port: unknown, error: typeof Error, why: string][] = [
  [
    "8000",
    TypeError,
    `Cannot listen on port "8000": ${port}, of a string make it by Number()`,
  ],
  [NaN, RangeError, `Cannot listen on port NaN: ${port}`],
  [70_000, RangeError, `Cannot listen on port 70000: ${port}`],
  [80.5, RangeError, `Cannot listen on port 80.5: ${port}`],
];

bothTest("serve says what to give instead of what its types refuse", async (
  platform,
) => {
  const call = platform.serve as unknown as (
    ...args: unknown[]
  ) => Promise<unknown>;
  // The tests' platforms add settings: those that are none are for upgrade.
  for (const [args, why] of services.filter(([args]) => args().length !== 2)) {
    await assertRejects(() => call(...args()), TypeError, why);
  }
  for (const [wrong, why] of options) {
    await assertRejects(() => call(Chat, wrong), TypeError, why);
  }
  for (const [port, error, why] of ports) {
    if (platform.name === "workerd") break; // It has none.
    await assertRejects(() => call(Chat, { port }), error, why);
  }
  await assertRejects(
    () => call(Chat, { fetch: "page" }),
    TypeError,
    'Cannot set fetch: it must be a function, got "page"',
  );
});

bothTest("upgrade says what to give instead of what its types refuse", ({
  upgrade,
}) => {
  for (const [args, why] of services) {
    assertThrows(() => upgrade(...args()), TypeError, why);
  }
  for (const [wrong, why] of options) {
    assertThrows(() => upgrade(Chat, wrong), TypeError, why);
    assertThrows(() => upgrade(wrong), TypeError, why);
  }
  return Promise.resolve();
});

Deno.test("The servers of Cloudflare say what to give instead of what their types refuse", () => {
  const upgrade = workers.upgrade as unknown as Call;
  const hibernate = workers.hibernate as unknown as Call;
  const ctx = { acceptWebSocket() {} };
  for (const [args, why] of services) {
    assertThrows(() => upgrade(...args()), TypeError, why);
    assertThrows(() => hibernate(ctx, ...args()), TypeError, why);
  }
  for (const [wrong, why] of options) {
    assertThrows(() => upgrade(Chat, wrong), TypeError, why);
    assertThrows(() => hibernate(ctx, wrong), TypeError, why);
  }
  assertThrows(
    () => hibernate(Chat),
    TypeError,
    "Cannot hibernate class Chat: the state of the Durable Object goes first, hibernate(ctx, Service)",
  );
});

Deno.test("serve of another runtime's says which door to take", () => {
  const doors = "take /server on Deno, /node on Node, /bun on Bun, /workers on";
  assertThrows(
    () => bun.serve({}),
    TypeError,
    `Cannot serve: there is no Bun here, which @jsonrpcws/peer/bun is for; ${doors}`,
  );
  const own = Object.getOwnPropertyDescriptor(globalThis, "Deno")!;
  Reflect.deleteProperty(globalThis, "Deno");
  try {
    for (const make of [deno.serve, deno.upgrade]) {
      assertThrows(
        () => (make as Call)({}),
        TypeError,
        `Cannot serve: there is no Deno here, which @jsonrpcws/peer/server is for; ${doors}`,
      );
    }
  } finally {
    Object.defineProperty(globalThis, "Deno", own);
  }
});

const url = "ws://127.0.0.1:1/";

/** What a client is made with, and why it is not. */
const clients: readonly [args: () => unknown[], why: string][] = [
  [() => [], "Cannot connect to undefined: give a URL"],
  [() => [{ local: {} }], "Cannot connect to [object Object]: give a URL"],
  [
    () => [Chat],
    "Cannot connect Chat to nowhere: the address goes first, connect(",
  ],
  [() => [url, Other], `Cannot connect class Other: ${give}`],
  [() => [url, () => {}], `Cannot connect a function: ${give}`],
  [() => [url, 5], `Cannot connect 5: ${give}`],
  [() => [url, null], `Cannot connect null: ${give}`],
  [
    () => [url, makePeer()],
    "Cannot connect an instance of Chat: it has its connection",
  ],
  [
    () => [url, Chat, "chat"],
    'Cannot connect with settings that are "chat": give an object',
  ],
  [() => [url, { onopen: 5 }], "Cannot set onopen: it must be a function"],
  [
    () => [url, Chat, { onopen: 5 }],
    "Cannot set onopen: it must be a function",
  ],
  [() => [url, { onattempt: true }], "Cannot set onattempt: it must be a"],
  [() => [url, { local: 5 }], "Cannot set local: it must be an object of"],
  [() => [url, { createSocket: {} }], "Cannot set createSocket: it must be a"],
];

for (
  const [door, connect] of [
    ["client", client.connect],
    ["node", node.connect],
  ] as const
) {
  Deno.test(`connect of /${door} says what to give instead of what its types refuse`, () => {
    for (const [args, why] of clients) {
      assertThrows(
        () => (connect as unknown as Call)(...args()),
        TypeError,
        why,
      );
    }
  });
}

Deno.test("connect of /node refuses headers that are none", () => {
  const connect = node.connect as unknown as Call;
  assertThrows(
    () => connect(url, { headers: "cookie: a=1" }),
    TypeError,
    'Cannot set headers: they must be an object or a function, got "cookie: a=1"',
  );
});

Deno.test("connect of /slim refuses an address that is none", () => {
  const connect = slim.connect as unknown as Call;
  assertThrows(() => connect(), TypeError, "Cannot connect to undefined: give");
});

Deno.test("Peer says what it is made over", () => {
  const make = (...args: unknown[]) => new Peer(...args as [never]);
  const what = "give a socket, or a function that makes one";
  assertThrows(() => make(), TypeError, `over undefined: ${what}`);
  assertThrows(() => make(null), TypeError, `over null: ${what}`);
  assertThrows(() => make(url), TypeError, `over string: ${what}`);
  assertThrows(() => make({ local: {} }), TypeError, `over object: ${what}`);
});
