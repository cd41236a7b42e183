import { inspect } from "node:util";
import { assertEquals, assertThrows } from "@std/assert";
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
  await remote["constructor"]!();
  await remote["length"]!();
  assertEquals(calls, [
    ["add", [1, 2]],
    ["math.deep.add", [3]],
    ["textDocument/completion", [{}]],
    ["constructor", undefined],
    ["length", undefined],
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
    [remote["math"]!["name"], "[remote math.name]"],
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

Deno.test("remote has every name but those that the language calls", () => {
  const { remote, calls } = recorder();
  for (const group of [remote, remote["math"]!]) {
    for (const name of ["add", "name", "constructor"]) {
      assertEquals(name in group, true);
    }
    assertEquals("then" in group || "toJSON" in group, false);
    assertEquals(Symbol.iterator in group, false);
    assertEquals(Object.keys(group), []);
  }
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
