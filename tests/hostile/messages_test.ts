/** What a hostile peer says, from either end: cases_test.ts lists all of it. */

import { assert, assertEquals } from "@std/assert";
import { Opcode } from "../interop/raw_socket.ts";
import { failure, request, result } from "../scripted_socket.ts";
import { cloudflares, until } from "../servers.ts";
import { ask, hear, hostileTest, type Stage, toText } from "./stage.ts";

const ping = request("ping", "rpc.ping");
const pong = result("ping", null);

/** Sees that a victim goes on as if nothing had been. */
async function assertAlive({ hostile }: Stage): Promise<void> {
  assertEquals(await ask(hostile, request("z", "echo", ["alive"])), [
    result("z", "alive"),
  ]);
}

/** Sees that a victim has closed its connection. */
async function assertClosed(
  { victim }: Stage,
  code: number,
  reason: string,
): Promise<void> {
  await until(() => victim.ends.length > 0);
  assertEquals(victim.ends, [{ code, reason, wasClean: true }]);
}

hostileTest(
  "Names of prototypes are no methods, and as params data",
  {},
  async (stage) => {
    const { hostile } = stage;
    const names = [
      ..."constructor __proto__ prototype toString toLocaleString valueOf"
        .split(" "),
      ..."hasOwnProperty isPrototypeOf propertyIsEnumerable then".split(" "),
      ..."__defineGetter__ __defineSetter__ __lookupGetter__".split(" "),
      ..."__lookupSetter__ getter field field.toString echo.call".split(" "),
      ..."echo.constructor local close request notify respond".split(" "),
      "",
      ".",
      "Symbol(Symbol.iterator)",
      "rpc.unknown",
      "$/unknown",
    ];
    assertEquals(
      await ask(hostile, ...names.map((name) => request(name, name))),
      names.map((name) => failure(name, -32601, "Method not found")),
    );
    const params =
      '[{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"then":1,"toJSON":1}]';
    await hostile.say(
      `{"jsonrpc":"2.0","method":"echo","params":${params},"id":1}`,
    );
    assertEquals(
      await hostile.text(),
      `{"jsonrpc":"2.0","result":${params.slice(1, -1)},"id":1}`,
    );
    await assertAlive(stage);
  },
);

hostileTest(
  "A message of 1 MiB is read, and one character more closes with 1009 but to who chose his server",
  {},
  async (stage) => {
    const { isServer, hostile } = stage;
    const start = '{"jsonrpc":"2.0","method":"length","id":1,"params":["';
    const text = "x".repeat(1_048_576 - start.length - 3);
    assertEquals(await ask(hostile, `${start}${text}"]}`), [
      result(1, text.length),
    ]);
    const longer = `${start}${text}x"]}`;
    if (!isServer) {
      assertEquals(await ask(hostile, longer), [result(1, text.length + 1)]);
      return assertAlive(stage);
    }
    await hostile.say(longer);
    await assertClosed(
      stage,
      1009,
      "Message is too long: it has 1048577 of at most 1048576 characters, see limits.messageLength",
    );
  },
);

hostileTest(
  "A batch of 101 members is refused, and nothing of it executed",
  {},
  async (stage) => {
    const { isServer, hostile, victim } = stage;
    const batch = (length: number): object[] =>
      Array.from({ length }, (_, id) => request(id, "count"));
    const [whole] = await ask(hostile, batch(100));
    assertEquals([(whole as []).length, victim.executed], [100, 100]);
    if (!isServer) await hostile.say(toText(batch(101)));
    else {
      assertEquals(await ask(hostile, batch(101)), [
        failure(null, -32010, "Batch has 101 of at most 100 members"),
      ]);
    }
    assertEquals(victim.executed, 100);
    await assertAlive(stage);
  },
);

hostileTest(
  "A message nested too deep or 500,000 deep is refused, and nothing built of it",
  {},
  async (stage) => {
    const { isServer, hostile } = stage;
    const most = isServer ? 64 : 1_000;
    const nested = (depth: number): string =>
      `{"jsonrpc":"2.0","method":"echo","params":[${"[".repeat(depth - 2)}${
        "]".repeat(depth - 2)
      }],"id":1}`;
    assertEquals((await ask(hostile, nested(most))).length, 1);
    // A timing would say little; that nobody parses it says where none is spent.
    const { parse } = JSON;
    const parsed: number[] = [];
    JSON.parse = (text, ...rest) => {
      parsed.push(text.length);
      return parse(text, ...rest);
    };
    try {
      const why =
        `Invalid Request: it is nested deeper than ${most} levels, see limits.depth`;
      const deep = [nested(most + 1), nested(500_000)];
      const refusals = deep.map(() => failure(1, -32600, why));
      if (isServer) {
        deep.push(`[${nested(most)}]`);
        refusals.push(failure(null, -32600, why));
      }
      assertEquals(await ask(hostile, ...deep), refusals);
      assert(parsed.length > 0);
      for (const { length } of deep) assert(!parsed.includes(length));
    } finally {
      JSON.parse = parse;
    }
    await assertAlive(stage);
  },
);

hostileTest(
  "Of two requests with one id the second is refused, the first undisturbed",
  {},
  async (stage) => {
    const { hostile, victim } = stage;
    await hostile.say(
      toText(request("a", "wait")),
      toText(request("a", "count")),
      toText([request("a", "count")]),
      toText({ jsonrpc: "2.0", method: "count", params: 5, id: "a" }),
    );
    const refusal = failure(
      null,
      -32600,
      'Invalid Request: id "a" is in flight',
    );
    assertEquals([await hear(hostile), await hear(hostile)], [refusal, [
      refusal,
    ]]);
    assertEquals((await hear(hostile) as { id: unknown }).id, null);
    victim.openGate();
    assertEquals(await hear(hostile), result("a", "waited"));
    assertEquals(victim.executed, 1);
    await assertAlive(stage);
  },
);

hostileTest("Every wrong id is answered with id null", {}, async (stage) => {
  const { isServer, hostile, victim } = stage;
  const ids = [
    ..."{} [] [1] true false 1e400 -1e400 9007199254740993".split(" "),
    '{"a":1}',
    `"${"x".repeat(129)}"`,
  ];
  const calls = ids.map((id) =>
    `{"jsonrpc":"2.0","method":"count","id":${id}}`
  );
  // A client says nothing that its server could not tell what it is about.
  if (!isServer) await hostile.say(...calls);
  else {
    const answers = await ask(hostile, ...calls) as {
      id: unknown;
      error: { code: number };
    }[];
    assertEquals(
      answers.map(({ id, error }) => [id, error.code]),
      ids.map(() => [null, -32600]),
    );
  }
  assertEquals(victim.executed, 0);
  await assertAlive(stage);
});

hostileTest(
  "100,000 notifications in a burst are all handled, where as many may wait",
  {
    limits: { held: Infinity },
  },
  async (stage) => {
    const { hostile, victim } = stage;
    await burst(stage, 100_000);
    assertEquals(await ask(hostile, ping), [pong]);
    assertEquals(victim.executed, 100_000);
  },
);

hostileTest(
  "100,000 notifications in a burst close with 4429, where there is a rate",
  {
    // Of which nothing comes back meanwhile, however slow the machine is.
    limits: { messageRate: 0, held: Infinity },
    thrown: [
      'RangeError: Cannot take notification "count": More than 0 messages a second, see limits.messageRate; nor can those that follow',
    ],
  },
  async (stage) => {
    // Its end is not waited for: it may be cut before the last was sent.
    await burst(stage, 100_000).catch(() => {});
    await assertClosed(stage, 4429, "More than 0 messages a second");
    const { executed } = stage.victim;
    assert(executed >= 2_000 && executed < 100_000);
  },
);

/** Sends notifications as fast as can be. */
async function burst({ hostile }: Stage, count: number): Promise<void> {
  const texts = Array<string>(1_000).fill('{"jsonrpc":"2.0","method":"count"}');
  for (let sent = 0; sent < count; sent += texts.length) {
    await hostile.say(...texts);
  }
}

hostileTest(
  "Of 10,000 calls to a slow method 1,024 run, the others wait, and all are answered",
  {},
  async (stage) => {
    const { hostile, victim } = stage;
    for (let id = 0; id < 10_000; id += 500) {
      await hostile.say(
        ...Array.from(
          { length: 500 },
          (_, n) => toText(request(id + n, "wait")),
        ),
      );
    }
    assertEquals(await ask(hostile, ping), [pong]);
    assertEquals([victim.executed, victim.running.length], [1_024, 1_024]);
    victim.openGate();
    const seen = new Set<unknown>();
    for (let id = 0; id < 10_000; id++) {
      const answer = await hear(hostile) as { id: number; result: string };
      assertEquals(answer.result, "waited");
      seen.add(answer.id);
    }
    assertEquals([seen.size, victim.executed], [10_000, 10_000]);
    await assertAlive(stage);
  },
);

hostileTest(
  "A reader that stops while 50 MB are sent to it is closed with 4008",
  // What the usual ten seconds are is tested in seconds/stopped_reader_test.ts.
  {
    limits: { bufferedTime: 1_000, bufferedMost: 40_000_000 },
    except: cloudflares.buffered,
  },
  async ({ hostile, victim }) => {
    await hostile.say('{"jsonrpc":"2.0","method":"flood"}');
    await until(() => victim.ends.length > 0);
    assertEquals(victim.ends.map(({ code }) => code), [4008]);
    assert(victim.executed > 0 && victim.executed < 1_000);
  },
);

hostileTest(
  "Methods that misbehave are answered, each by an error that tells nothing",
  {
    thrown: [
      "Error: secret",
      "secret",
      "null",
      "TypeError",
      "TypeError",
      "Error: secret",
    ],
  },
  async (stage) => {
    const { hostile } = stage;
    const methods = "throwError throwString throwNull cycle bigint reject";
    for (const method of methods.split(" ")) {
      assertEquals(await ask(hostile, request(method, method)), [
        failure(method, -32603, "Internal error"),
      ]);
    }
    // One that never settles is in nobody's way, and can be given up.
    await hostile.say(toText(request("never", "never")));
    await assertAlive(stage);
    await hostile.say(
      '{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"never"}}',
    );
    assertEquals(
      await hear(hostile),
      failure("never", -32800, "Request was cancelled"),
    );
    await assertAlive(stage);
  },
);

for (const how of ["at once", "later"] as const) {
  hostileTest(`Hooks that fail ${how} change nothing for anybody`, {
    failing: { how, hooks: ["onclose", "oninvalid", "onerror"] },
    thrown: ["Error: secret", "Error: oninvalid", "Error: onclose"],
  }, async (stage) => {
    const { isServer, hostile } = stage;
    assertEquals(await ask(hostile, request(1, "throwError")), [
      failure(1, -32603, "Internal error"),
    ]);
    await hostile.say("garbage");
    // A client answers nothing that is no call.
    if (isServer) {
      assertEquals(
        await hear(hostile),
        failure(null, -32700, "Parse error"),
      );
    }
    await assertAlive(stage);
  });

  hostileTest(`An onopen that fails ${how} ends its own connection alone`, {
    failing: { how, hooks: ["onopen", "onclose", "onerror"] },
    thrown: ["Error: onopen", "Error: onclose"],
  }, async (stage) => {
    const { hostile, victim } = stage;
    await assertClosed(stage, 1011, "onopen failed");
    assertEquals((await hostile.receive())?.opcode, Opcode.Close);
    await hostile.say(toText(request(1, "count"))).catch(() => {});
    assertEquals(victim.executed, 0);
  });
}

hostileTest(
  "10,000 unknown responses are ignored, counted, and not answered",
  {},
  async (stage) => {
    const { hostile, victim } = stage;
    const texts = Array.from({ length: 10_000 }, (_, n) => {
      const id = [n + 5, `${n}`, -n, null][n % 4];
      return toText(n % 8 === 0 ? failure(n + 5, 1, "No") : result(id, n));
    });
    await hostile.say(...texts);
    assertEquals(await ask(hostile, ping), [pong]);
    assertEquals(victim.unmatched, 10_000);
  },
);

hostileTest("A response that comes twice counts once", {}, async (stage) => {
  const { hostile, victim } = stage;
  const call = victim.request("theirs");
  const { id } = await hear(hostile) as { id: number };
  await hostile.say(
    toText(result(id, "first")),
    toText(result(id, "second")),
    toText(failure(id, 5, "third")),
  );
  assertEquals(await call, "first");
  assertEquals(await ask(hostile, ping), [pong]);
  assertEquals(victim.unmatched, 2);
});
