import { inspect } from "node:util";
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { UntypedRemote } from "../mod.ts";
import { createRemote } from "../src/peer/remote.ts";

function recorder(): { remote: UntypedRemote; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const remote = createRemote((...call) => {
    calls.push(call);
    return Promise.resolve("answer");
  });
  return { remote, calls };
}

Deno.test("remote calls by name, nested names with dots", async () => {
  const { remote, calls } = recorder();
  assertEquals(await remote["add"]!(1, 2), "answer");
  await remote["math"]!["deep"]!["add"]!(3);
  await remote["textDocument/completion"]!({});
  assertEquals(calls, [
    ["add", [1, 2]],
    ["math.deep.add", [3]],
    ["textDocument/completion", [{}]],
  ]);
});

Deno.test("remote can be awaited and inspected without calling anybody", async () => {
  const { remote, calls } = recorder();
  assertEquals(await remote, remote);
  assertEquals(await remote["math"], remote["math"]);
  assertEquals(remote["then"], undefined);
  assertEquals(remote["math"]!["then"], undefined);
  assertEquals(
    (remote as unknown as Record<symbol, unknown>)[Symbol.iterator],
    undefined,
  );
  assertEquals(JSON.stringify({ add: remote["add"] }), "{}");
  assertEquals(JSON.stringify(remote), "{}");
  assertEquals(calls, []);
});

Deno.test("remote and its methods can be logged, and stand in a text", () => {
  const { remote, calls } = recorder();
  const shown: [what: unknown, text: string][] = [
    [remote, "[remote]"],
    [remote["add"], "[remote add]"],
    [remote["math"]!["deep"], "[remote math.deep]"],
    [new Proxy(remote["math"]!, {}), "[remote math]"],
    [Object.create(remote["math"]!), "[remote math]"],
  ];
  for (const [what, text] of shown) {
    assertEquals(`${what}`, text);
    assertEquals(`${what}` + what, text + text);
    assertEquals(inspect(what), text);
    assertEquals(inspect({ what }), `{ what: ${text} }`);
    assertEquals(Deno.inspect([what]), `[ ${text} ]`);
  }
  assertEquals(calls, []);
});

Deno.test("remote answers for a proxy of it, and for what inherits from it", async () => {
  for (const part of ["", "math"]) {
    const { remote, calls } = recorder();
    const whole = part === "" ? remote : remote[part]!;
    const logging = new Proxy(whole, {
      get: (target, key, receiver) => Reflect.get(target, key, receiver),
    });
    for (const other of [new Proxy(whole, {}), logging, Object.create(whole)]) {
      await other.add(1);
    }
    assertEquals(
      calls,
      Array(3).fill([part === "" ? "add" : "math.add", [1]]),
    );
  }
});

Deno.test("remote answers for what can't have what is found for its own", async () => {
  const { remote, calls } = recorder();
  await Object.freeze(Object.create(remote)).add(1);
  const counted = new Proxy(remote, {
    get: (target, key) => (...params: unknown[]) =>
      target[key as string]!("counted", ...params),
  });
  await counted["add"]!(2);
  await counted["add"]!(3);
  await Object.freeze(remote)["sub"]!(4);
  assertEquals(calls, [
    ["add", [1]],
    ["add", ["counted", 2]],
    ["add", ["counted", 3]],
    ["sub", [4]],
  ]);
});

Deno.test("remote gives the same object for the same name", () => {
  const { remote } = recorder();
  assertEquals(remote["a"] === remote["a"], true);
  assertEquals(remote["a"]!["b"] === remote["a"]!["b"], true);
});

Deno.test("remote's methods are functions: apply, call, and bind call them", async () => {
  const { remote, calls } = recorder();
  const secret = { password: "1234" };
  const save = remote["math"]!["save"]!;
  await save.apply(secret, [1]);
  await save.call(secret, 2);
  await save.bind(secret, 3)(4);
  await Reflect.apply(save, secret, [5]);
  const emitter = new EventTarget();
  emitter.addEventListener("event", save);
  emitter.dispatchEvent(new Event("event"));
  assertEquals(calls.slice(0, 4), [
    ["math.save", [1]],
    ["math.save", [2]],
    ["math.save", [3, 4]],
    ["math.save", [5]],
  ]);
  assertEquals(calls[4]![0], "math.save");
  assertEquals(calls.length, 5);
});

Deno.test("remote's methods have what every function has", () => {
  const { remote, calls } = recorder();
  const save = remote["math"]!["save"] as unknown as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(Function.prototype)) {
    // Which throw, of any function but those of old.
    if (name === "caller" || name === "arguments") continue;
    assertEquals(typeof save[name], typeof (() => {})[name as "name"], name);
  }
  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    assertEquals(name in save, true, name);
    if (name === "__proto__") continue;
    assertEquals(save[name], (() => {})[name as "name"], name);
  }
  assertEquals(save["name"], "math.save");
  assert(save instanceof Function);
  assertEquals(typeof save, "function");
  assertEquals(`${(save["toString"] as () => string)()}`.length > 0, true);
  assertEquals(calls, []);
});

// In whatever comes along, by the language, by matchers, printers, and what makes
// values reactive.
const probes: readonly (string | symbol)[] = [
  "then",
  "toJSON",
  "prototype",
  "asymmetricMatch",
  "inspect",
  "nodeType",
  "tagName",
  "hasAttribute",
  "jasmineToString",
  "_isMockFunction",
  "$$typeof",
  "@@__IMMUTABLE_ITERABLE__@@",
  "@@__IMMUTABLE_KEYED__@@",
  "@@observable",
  "__esModule",
  "__v_isRef",
  "__v_isVNode",
  "__v_raw",
  "__v_skip",
  "_$litType$",
  Symbol.asyncDispose,
  Symbol.asyncIterator,
  Symbol.dispose,
  Symbol.iterator,
  Symbol.isConcatSpreadable,
  Symbol.match,
  Symbol.species,
  Symbol.unscopables,
  Symbol.for("chai/inspect"),
  Symbol.for("immer-draftable"),
];

Deno.test("remote has nothing by the names that tools look up", () => {
  const { remote, calls } = recorder();
  for (const part of [remote, remote["math"]!, remote["math"]!["add"]!]) {
    for (const name of probes) {
      assertEquals(Reflect.get(part, name), undefined, String(name));
      assertEquals(name in part, false, String(name));
    }
  }
  for (const name of Object.getOwnPropertyNames(Function.prototype)) {
    const its = Reflect.get(remote, name);
    // An object's, as any object has it.
    const expected = name === "constructor" ? undefined : ({})[name as never];
    assertEquals(its, expected, name);
  }
  assertEquals(calls, []);
});

Deno.test("remote has every other name", () => {
  const { remote, calls } = recorder();
  for (const group of [remote, remote["math"]!]) {
    for (const name of ["add", "$/progress", "__listMethods", "key", "ref"]) {
      assertEquals(name in group, true);
      assertEquals(typeof group[name], "function");
    }
    assertEquals(Reflect.ownKeys(group).includes("add"), true);
    assertEquals(Object.keys(group), []);
    assertEquals(Object.entries(group), []);
    for (const key in group) throw new Error(`It has a key ${key}`);
  }
  assertEquals(Object.getOwnPropertySymbols({ ...remote }), []);
  assertEquals(calls, []);
});

Deno.test("remote keeps no more than 1,024 names", async () => {
  const { remote, calls } = recorder();
  for (const group of [remote, remote["math"]!]) {
    const first = group["a0"];
    for (let n = 0; n < 1_100; n++) void group[`a${n}`];
    assertEquals(group["a0"] === first, true);
    assertEquals(group["a1099"] === group["a1099"], false);
    await group["a1099"]!();
  }
  assertEquals(calls, [["a1099", undefined], ["math.a1099", undefined]]);
});

Deno.test("remote's methods can be taken from it", async () => {
  const { remote, calls } = recorder();
  const { add } = remote;
  await add!(1, 2);
  await [3].map(remote["math"]!["square"]! as (n: number) => unknown)[0];
  assertEquals(calls[0], ["add", [1, 2]]);
  assertEquals(calls[1]?.[0], "math.square");
});

Deno.test("remote leaves trailing undefined out, so that defaults work", async () => {
  const { remote, calls } = recorder();
  await remote["say"]!("x", undefined);
  await remote["say"]!(undefined);
  await remote["say"]!(undefined, 1);
  assertEquals(calls, [
    ["say", ["x"]],
    ["say", undefined],
    ["say", [undefined, 1]],
  ]);
});

Deno.test("remote can't be called itself, nor written to", () => {
  const { remote } = recorder();
  const call = remote as unknown as () => Promise<unknown>;
  assertThrows(() => call(), TypeError);
  assertThrows(
    () => {
      (remote as unknown as Record<string, unknown>)["add"] = 1;
    },
    TypeError,
  );
  assertThrows(
    () => {
      (remote["add"] as unknown as Record<string, unknown>)["fast"] = 1;
    },
    TypeError,
  );
  // What is put into one all the same is in no other.
  Object.defineProperty(remote["add"], "slow", { value: 1 });
  assertEquals(typeof remote["other"]!["slow"], "function");
});
