import { assert, assertEquals } from "@std/assert";
import { Methods, names } from "../src/peer/methods.ts";

function isFound(local: object, name: string): boolean {
  return new Methods(local).find(name) !== undefined;
}

Deno.test("Methods finds own functions, by any name and in groups", () => {
  const local = {
    add() {},
    "textDocument/completion"() {},
    "a.b"() {},
    then() {},
    "": () => {},
    math: { sub() {}, deep: { er() {} }, "x.y"() {} },
    none: Object.assign(Object.create(null) as object, { fn() {} }),
  };
  const names = [
    "add",
    "textDocument/completion",
    "a.b",
    "then",
    "",
    "math.sub",
    "math.deep.er",
    "math.x.y",
    "none.fn",
  ];
  for (const name of names) assert(isFound(local, name), name);
});

Deno.test("Methods finds nothing that is inherited, computed or no function", () => {
  class Connection {
    query = (): void => {};
  }
  class Local {
    own = (): void => {};
    field = 5;
    connection: Connection = new Connection();
    list: (() => void)[] = [() => {}];
    nothing = null;
    math = { add(): void {} };
    ["__proto__"] = 1;
    [Symbol.iterator] = (): void => {};
    inherited(): void {}
    get getter(): () => void {
      throw new Error("A getter ran");
    }
  }
  const local = new Local();
  assert(isFound(local, "own"));
  Object.defineProperty(local, "ownGetter", {
    get() {
      throw new Error("A getter ran");
    },
  });
  const names = [
    "inherited",
    "constructor",
    "__proto__",
    "__defineGetter__",
    "toString",
    "valueOf",
    "hasOwnProperty",
    "getter",
    "ownGetter",
    "field",
    "nothing",
    "list",
    "list.0",
    "connection",
    "connection.query",
    "math",
    "math.",
    ".math",
    "math.constructor",
    "math.add.call",
    "math.add.constructor",
    "own.call",
    "own.apply",
    "__proto__.inherited",
    "constructor.name",
    "Symbol(Symbol.iterator)",
    "then",
    "",
    ".",
    "..",
  ];
  for (const name of names) assert(!isFound(local, name), name);
});

Deno.test("Methods keeps the library's own prefixes for itself", () => {
  const local = {
    "rpc.discover"() {},
    "$/progress"() {},
    rpc: { ping() {} },
    rpcs() {},
    "$"() {},
  };
  assert(!isFound(local, "rpc.discover"));
  assert(!isFound(local, "rpc.ping"));
  assert(!isFound(local, "$/progress"));
  assert(isFound(local, "rpcs"));
  assert(isFound(local, "$"));
});

Deno.test("Methods follows functions that are replaced, added and deleted", () => {
  const local: { [name: string]: () => number } = { a: () => 1 };
  const methods = new Methods(local);
  assertEquals(methods.find("a")?.fn(), 1);
  local["a"] = () => 2;
  assertEquals(methods.find("a")?.fn(), 2);
  delete local["a"];
  assertEquals(methods.find("a"), undefined);
  local["b"] = () => 3;
  assertEquals(methods.find("b")?.fn(), 3);
  local["c"] = () => 4;
  assertEquals(methods.find("c")?.fn(), 4);
  local["c"] = () => 5;
  assertEquals(methods.find("c")?.fn(), 5);
  delete local["c"];
  assertEquals(methods.find("c"), undefined);
  assertEquals(methods.find("b")?.fn(), 3);
});

Deno.test("Methods finds a function and another one that a group has by its name", () => {
  const local = { a: () => 1, group: { a: () => 2 } };
  const methods = new Methods(local);
  for (let time = 0; time < 2; time++) {
    assertEquals(methods.find("group.a")?.fn(), 2);
    assertEquals(methods.find("a")?.fn(), 1);
    assertEquals(methods.find("group.a")?.fn(), 2);
  }
});

Deno.test("names tells each method once, by the name that finds it", () => {
  const fn = (): void => {};
  const other = (): void => {};
  class Connection {
    query = fn;
  }
  const cycle: { [name: string]: unknown } = { fn };
  cycle["cycle"] = { other, cycle };
  const shared = { fn };
  const local = {
    add: fn,
    "a.b": fn,
    a: { b: other, c: other },
    "": { "": fn },
    math: { deep: { er: fn } },
    none: Object.assign(Object.create(null) as object, { fn }),
    cycle,
    left: shared,
    right: shared,
    connection: new Connection(),
    list: [fn],
    nothing: null,
    version: "1",
    get getter(): () => void {
      throw new Error("A getter ran");
    },
    "rpc.discover": fn,
    rpc: { ping: fn },
    "$/progress": fn,
    [Symbol.iterator]: fn,
  };
  Object.defineProperty(local, "hidden", { value: fn, enumerable: false });
  const found = new Map(names(local));
  assertEquals([...found.keys()].toSorted(), [
    ".",
    "a.b",
    "a.c",
    "add",
    "cycle.cycle.other",
    "cycle.fn",
    "hidden",
    "left.fn",
    "math.deep.er",
    "none.fn",
    "right.fn",
  ]);
  assertEquals(found.get("a.b"), fn);
  const methods = new Methods(local);
  for (const [name, fn] of names(local)) {
    assertEquals(methods.find(name)?.fn, fn, name);
  }
  assertEquals([...names(local)].length, found.size);
});
