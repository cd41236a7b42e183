import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import { connect } from "../client.ts";
import {
  type DeclaredMethod,
  ErrorCode,
  method,
  Peer,
  RpcError,
  type StandardSchema,
} from "../mod.ts";
import { serve } from "../server.ts";
import { socketPair } from "../testing.ts";
import { declarationOf } from "../src/methods/schema.ts";

/** The same schemas in each library. */
interface Library {
  name: string;
  number: StandardSchema<number>;
  optional: StandardSchema<number | undefined>;
  text: StandardSchema<string>;
  point: StandardSchema<{ at: { x: number }[] }>;
  length: StandardSchema<string, number>;
  lengthLater: StandardSchema<string, number>;
}

const later = (text: string) => Promise.resolve(text.length);

const libraries: Library[] = [{
  name: "zod",
  number: z.number(),
  optional: z.number().optional(),
  text: z.string(),
  point: z.object({ at: z.array(z.object({ x: z.number() })) }),
  length: z.string().transform((text) => text.length),
  lengthLater: z.string().transform(later),
}, {
  name: "valibot",
  number: v.number(),
  optional: v.optional(v.number()),
  text: v.string(),
  point: v.object({ at: v.array(v.object({ x: v.number() })) }),
  length: v.pipe(v.string(), v.transform((text) => text.length)),
  lengthLater: v.pipeAsync(v.string(), v.transformAsync(later)),
}, {
  name: "arktype",
  number: type("number"),
  optional: type("number | undefined"),
  text: type("string"),
  point: type({ at: type({ x: "number" }).array() }),
  length: type("string").pipe((text) => text.length),
  // It has no asynchronous types.
  lengthLater: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: async (text) =>
        typeof text === "string"
          ? { value: await later(text) }
          : { issues: [{ message: "must be a string" }] },
    },
  },
}];

/** Calls a method, by both ways, as a peer on the other side does. */
async function withPeers(
  local: object,
  use: (client: Peer, failures: unknown[]) => Promise<void>,
): Promise<void> {
  const [left, right] = socketPair();
  const failures: unknown[] = [];
  await using _server = new Peer(left, {
    local,
    onerror: (error) => void failures.push(error),
  });
  await using client = new Peer(right);
  await use(client, failures);
}

async function refused(call: Promise<unknown>): Promise<RpcError> {
  const error = await assertRejects(() => call, RpcError);
  assertEquals(error.code, ErrorCode.InvalidParams);
  return error;
}

for (const library of libraries) {
  const { name, number, optional, text, point, length, lengthLater } = library;

  Deno.test(`method takes params by position and by name, with ${name}`, async () => {
    const local = {
      subtract: method(
        { params: { minuend: number, subtrahend: number }, result: number },
        (minuend, subtrahend) => minuend - subtrahend,
      ),
      repeat: method(
        { params: [{ text }, { times: optional }] },
        (text, times) => text.repeat(times ?? 2),
      ),
      join: method({ params: [text, optional] }, (a, b) => `${a}:${b}`),
    };
    await withPeers(local, async (client) => {
      assertEquals(await client.request("subtract", [42, 23]), 19);
      const byName = { subtrahend: 23, minuend: 42 };
      assertEquals(await client.request("subtract", byName), 19);
      assertEquals(await client.request("repeat", ["a", 3]), "aaa");
      assertEquals(await client.request("repeat", ["a"]), "aa");
      const reversed = { times: 3, text: "a" };
      assertEquals(await client.request("repeat", reversed), "aaa");
      assertEquals(await client.request("repeat", { text: "a" }), "aa");
      assertEquals(await client.request("join", ["a"]), "a:undefined");
    });
  });

  Deno.test(`method refuses params that don't fit, with ${name}`, async () => {
    let calls = 0;
    const local = {
      subtract: method(
        { params: { minuend: number, subtrahend: number } },
        () => ++calls,
      ),
      place: method({ params: [text, point] }, () => ++calls),
    };
    await withPeers(local, async (client, failures) => {
      const wrong = await refused(client.request("subtract", [42, "23"]));
      const issues = wrong.data as { message: string; path: unknown[] }[];
      assertEquals(issues.map(({ path }) => path), [["subtrahend"]]);
      assertEquals(
        wrong.message,
        `Invalid params: subtrahend: ${issues[0]!.message}`,
      );
      const both = await refused(client.request("subtract", { minuend: "42" }));
      assertEquals(
        (both.data as typeof issues).map(({ path }) => path),
        [["minuend"], ["subtrahend"]],
      );
      assertStringIncludes(both.message, "Invalid params: minuend: ");
      assertStringIncludes(
        (await refused(client.request("subtract"))).message,
        "Invalid params: minuend: ",
      );

      const deep = await refused(
        client.request("place", ["a", { at: [{ x: 1 }, { x: "2" }] }]),
      );
      assertEquals(
        (deep.data as typeof issues).map(({ path }) => path),
        [[1, "at", 1, "x"]],
      );
      assertStringIncludes(deep.message, "Invalid params: 1.at.1.x: ");

      assertEquals(
        (await refused(client.request("subtract", [1, 2, 3]))).message,
        "Invalid params: got 3, expected at most 2",
      );
      assertStringIncludes(
        (await refused(client.request("subtract", { minuend: 1, by: 2 })))
          .message,
        'unknown parameter "by"',
      );
      assertEquals([calls, failures], [0, []]);
    });
  });

  Deno.test(`method gives the function what a schema makes of it, with ${name}`, async () => {
    const sizes = method(
      { params: { a: length }, result: optional },
      (a) => a,
    );
    assertEquals(sizes("four"), 4);
    const slow = method({ params: { a: lengthLater } }, (a) => a);
    const answer = slow("four");
    assertInstanceOf(answer, Promise);
    assertEquals(await answer, 4);
    const back = method({ params: [], result: lengthLater }, () => "four");
    assertEquals(await back(), 4);

    await withPeers({ slow, back }, async (client) => {
      assertEquals(await client.request("slow", { a: "four" }), 4);
      await refused(client.request("slow", [4]));
      assertEquals(await client.request("back"), 4);
    });
  });

  Deno.test(`method hides a result that doesn't fit, with ${name}`, async () => {
    const wrong: unknown = { at: [{ x: "1" }] };
    const local = {
      now: method({ params: [], result: point }, () => wrong as never),
      later: method(
        { params: [], result: point },
        () => Promise.resolve(wrong as never),
      ),
      slow: method({ params: [], result: lengthLater }, () => 4 as never),
    };
    await withPeers(local, async (client, failures) => {
      for (const name of Object.keys(local)) {
        const error = await assertRejects(() => client.request(name), RpcError);
        assertEquals(
          [error.code, error.message, error.data],
          [ErrorCode.InternalError, "Internal error", undefined],
        );
      }
      assertEquals(failures.length, 3);
      const [failure] = failures;
      assert(failure instanceof TypeError);
      assertStringIncludes(
        failure.message,
        "Cannot answer: the result does not fit its schema: at.0.x: ",
      );
      const [issue] = failure.cause as { path: unknown[] }[];
      assertEquals(issue?.path, ["at", 0, "x"]);
    });
  });
}

Deno.test("method stays synchronous where nothing is asynchronous", () => {
  const double = method(
    { params: { term: z.number() }, result: z.number() },
    (term) => term * 2,
  );
  assertEquals(double(2), 4);
  const error = assertThrows(() => double("2" as never), RpcError);
  assertEquals(error.code, ErrorCode.InvalidParams);
});

Deno.test("method leaves out of the result what its schema leaves out", async () => {
  const user = { name: "ann", password: "secret" };
  const local = {
    user: method(
      { params: [], result: z.object({ name: z.string() }) },
      () => user,
    ),
  };
  await withPeers(local, async (client) => {
    assertEquals(await client.request("user"), { name: "ann" });
  });
});

Deno.test("method names parameters without validating them", async () => {
  const local = {
    both: method(
      { params: ["a", "b"] },
      (a: unknown, b: unknown = 5) => [a, b],
    ),
    free: method({ summary: "Any" }, (...params: unknown[]) => params),
    none: method({ params: [] }, () => "none"),
    checked: method(
      { params: ["a"], result: z.number() },
      (a: number) => a,
    ),
  };
  await withPeers(local, async (client, failures) => {
    assertEquals(await client.request("both", { b: "x", a: 1 }), [1, "x"]);
    assertEquals(await client.request("both", [1]), [1, 5]);
    assertEquals(await client.request("both", { a: 1 }), [1, 5]);
    await refused(client.request("both", [1, 2, 3]));
    await refused(client.request("both", { c: 1 }));

    assertEquals(await client.request("free", [1, 2, 3]), [1, 2, 3]);
    assertEquals(await client.request("free", { a: 1 }), [{ a: 1 }]);

    assertEquals(await client.request("none"), "none");
    assertEquals(await client.request("none", {}), "none");
    await refused(client.request("none", [1]));
    await refused(client.request("none", { a: 1 }));

    assertEquals(await client.request("checked", [1]), 1);
    assertEquals(failures, []);
    await assertRejects(() => client.request("checked", ["1"]), RpcError);
    assertEquals(failures.length, 1);
  });
});

Deno.test("method takes members that mean something to the language for data", async () => {
  const local = {
    read: method({ params: { a: z.unknown() } }, (a) => JSON.stringify(a)),
  };
  await withPeers(local, async (client) => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      const params: unknown = JSON.parse(`{"${name}": 1}`);
      await refused(client.request("read", params as object));
    }
    const inner = '{"__proto__":{"polluted":true},"then":1}';
    const params = { a: JSON.parse(inner) as unknown };
    assertEquals(await client.request("read", params), inner);
    assert(!("polluted" in {}));
  });
});

Deno.test("method tells of 32 issues at most", async () => {
  const local = {
    sum: method({ params: [z.array(z.number())] }, (terms) => terms.length),
  };
  await withPeers(local, async (client) => {
    const terms = Array.from({ length: 1_000 }, String);
    const error = await refused(client.request("sum", [terms]));
    assertEquals((error.data as unknown[]).length, 32);
  });
});

Deno.test("method passes on what a schema or the function throws", async () => {
  const local = {
    schema: method({
      params: [
        z.string().transform((): string => {
          throw new Error("the schema's");
        }),
      ],
    }, () => {}),
    // The first rejects after the second threw: nobody may be left to hear it.
    both: method({
      params: [
        v.pipeAsync(
          v.string(),
          v.transformAsync(() => Promise.reject(new Error("too late"))),
        ),
        z.string().transform((): string => {
          throw new Error("the second's");
        }),
      ],
    }, () => {}),
    late: method({
      params: [
        v.pipeAsync(
          v.string(),
          v.transformAsync(() => Promise.reject(new Error("late"))),
        ),
      ],
    }, () => {}),
    fn: method({ params: [z.string()] }, (name) => {
      throw new RpcError(409, "Name is taken", { name });
    }),
  };
  await withPeers(local, async (client, failures) => {
    for (const name of ["schema", "both", "late"]) {
      const error = await assertRejects(
        () =>
          client.request(name, ["a", "b"].slice(0, name === "both" ? 2 : 1)),
        RpcError,
      );
      assertEquals(error.code, ErrorCode.InternalError);
    }
    assertEquals(
      failures.map((failure) => (failure as Error).message),
      ["the schema's", "the second's", "late"],
    );
    const taken = await assertRejects(
      () => client.request("fn", ["ann"]),
      RpcError,
    );
    assertEquals([taken.code, taken.data], [409, { name: "ann" }]);
  });
});

Deno.test("method reads paths whose segments are objects or symbols", () => {
  const odd: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => ({
        issues: [{ message: "Odd", path: [{ key: "a" }, 0, Symbol("s")] }],
      }),
    },
  };
  const error = assertThrows(
    () => method({ params: [odd] }, () => {})(1),
    RpcError,
  );
  assertEquals(error.message, "Invalid params: 0.a.0.Symbol(s): Odd");
  assertEquals(error.data, [{
    message: "Odd",
    path: [0, "a", 0, "Symbol(s)"],
  }]);
});

Deno.test("method refuses declarations that can't be meant", () => {
  // As a program without types may write them.
  const declare = method as (declaration: unknown, fn: () => void) => unknown;
  const schema = z.number();
  const cases: [params: unknown, message: string][] = [
    [{ a: "number" }, "params.a is no schema, expected one that implements"],
    [{ a: null }, "params.a is no schema"],
    [[schema, 5], "params[1] has 0 members, expected a schema, a name, or"],
    [[{ a: schema, b: schema }], "params[0] has 2 members"],
    [[null], "params[0] has 0 members"],
    [[schema, { b: schema }], "params are of several forms"],
    [["a", schema], "params are of several forms"],
    [["a", { b: schema }], "params are of several forms"],
    [["a", "a"], 'there are two parameters "a"'],
    [[{ a: schema }, { a: schema }], 'there are two parameters "a"'],
    [{ b: schema, 1: schema }, 'parameter "1" of an object has no place'],
    [schema, "is no schema"],
  ];
  for (const [params, message] of cases) {
    assertThrows(
      () => declare({ params }, () => {}),
      TypeError,
      "Cannot declare method: ",
    );
    assertThrows(() => declare({ params }, () => {}), TypeError, message);
  }
  assertThrows(
    () => declare({ result: { type: "number" } }, () => {}),
    TypeError,
    "Cannot declare method: result is no schema",
  );
});

Deno.test("declarationOf tells the parameters whatever their form", () => {
  const schema = z.number();
  const fn = (): void => {};
  const parameters = (declared: DeclaredMethod<never, unknown>): unknown =>
    declarationOf(declared)?.parameters;
  const a = { name: "a", schema };
  assertEquals(parameters(method({ params: { a: schema } }, fn)), [a]);
  assertEquals(parameters(method({ params: [{ a: schema }] }, fn)), [a]);
  assertEquals(parameters(method({ params: [schema] }, fn)), [
    { name: undefined, schema },
  ]);
  assertEquals(parameters(method({ params: ["a"] }, fn)), [
    { name: "a", schema: undefined },
  ]);
  assertEquals(parameters(method({}, fn)), undefined);
  assertEquals(declarationOf(fn), undefined);
});

Deno.test("method validates a service end to end, typed from its schemas", async () => {
  const User = z.object({
    name: z.string().min(1),
    age: z.number().default(0),
  });

  class Users extends Peer<{ added(name: string): void }> {
    #users = new Map<string, z.output<typeof User>>();
    override local = {
      add: method({ params: { user: User }, result: z.number() }, (user) => {
        this.#users.set(user.name, user);
        this.notify("added", [user.name]);
        return this.#users.size;
      }),
      users: {
        born: method({
          params: [{ name: v.string() }, {
            year: v.pipe(v.string(), v.transform(Number)),
          }],
          result: type("number"),
        }, (name, year) => year - (this.#users.get(name)?.age ?? 0)),
      },
    };
  }
  await using server = serve(Users, { port: 0, onListen() {} });
  const added: string[] = [];
  await using client = connect<Users["local"]>(server.url, {
    local: {
      added: method({ params: { name: z.string() } }, function (name) {
        added.push(`${this.call.method} ${name}`);
      }),
    },
  });

  const size: number = await client.remote.add({ name: "ann", age: 5 });
  assertEquals(size, 1);
  assertEquals(await client.remote.add({ name: "bob" }), 2);
  assertEquals(await client.remote.users.born("ann", "2026"), 2021);
  const byName = { year: "2026", name: "ann" };
  assertEquals(await client.request("users.born", byName), 2021);
  assertEquals(added, ["added ann", "added bob"]);

  // @ts-expect-error: a number is no name.
  const wrong = client.remote.add({ name: 5 });
  assertStringIncludes(
    (await refused(wrong)).message,
    "Invalid params: user.name: ",
  );
  // @ts-expect-error: the year is a text for callers.
  await refused(client.remote.users.born("ann", 2026));
  // @ts-expect-error: a parameter is missing.
  await refused(client.remote.users.born("ann"));
});

Deno.test("method is called on the peer in a definition of serve", async () => {
  await using server = serve({
    local: {
      who: method({ params: [z.string()] }, function (name) {
        return [name, this.call.method, this instanceof Peer];
      }),
      math: {
        who: method({ params: {}, result: z.string() }, function () {
          return this.call.method;
        }),
      },
    },
    port: 0,
    onListen() {},
  });
  await using client = connect(server.url);
  assertEquals(await client.request("who", ["ann"]), ["ann", "who", true]);
  assertEquals(await client.request("math.who"), "math.who");
});
