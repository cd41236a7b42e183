/**
 * What a hostile peer sends: messages that are nearly right. Valid ones are made
 * first, of everything that the protocol knows, and then spoiled, as values and
 * as text.
 *
 * @module
 */

import type { Random } from "./random.ts";

/** A JSON value as it is to be written, which may say what no value can. */
export type Node = null | boolean | number | string | Raw | Members | Node[];

/** Written as it stands. */
class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object's members, in their order, doubled ones too. */
class Members {
  readonly pairs: [name: string, value: Node][];

  constructor(pairs: [name: string, value: Node][]) {
    this.pairs = pairs;
  }
}

/** What the sender knows of the peer that it sends to. */
export interface Knowledge {
  /** Whether messages share frames. */
  readonly isShared: boolean;
  /** The requests of the peer that were not answered, by id. */
  readonly asked: ReadonlyMap<number, string>;
  /** The lengths that it refuses, to come near to them. */
  readonly messageLength: number;
  readonly idLength: number;
  readonly methodLength: number;
  readonly depth: number;
}

/** The names of what may be called, {@linkcode Subject}'s methods. */
const methods = [
  ..."echo later tell wait abortable fail failLater refuse nothing bigint cycle"
    .split(" "),
  ..."throwNull long math.add named stream forever broken readable read call"
    .split(" "),
  ..."callObject keep lend lendFunction nested progress early ask".split(" "),
  ..."put put stored".split(" "),
] as const;

const strangers = [
  ..."constructor __proto__ toString then hasOwnProperty valueOf".split(" "),
  ..."math math.constructor echo.call field getter rpc.ping rpc.discover rpc."
    .split(" "),
  ..."$/ $/unknown $/cancelRequest $/progress $/enumerator/next".split(" "),
  ..."$/enumerator/abort $/enumerator/ $/releaseMarshaledObject".split(" "),
  ..."$/invokeProxy/1/invoke $/invokeProxy/2/get $/invokeProxy//".split(" "),
  "",
  ".",
  "..",
  "é😀",
  "\ud800",
  "\u0000",
];

const numbers = [
  ..."0 -0 1 -1 1.0 1.5 1e2 1E+2 0.1 5e-324 1e308 1e400 -1e400".split(" "),
  ..."1.50 15e-1 -0.5 2.5 1e-7 1.5e300".split(" "),
  ..."2147483647 2147483648 9007199254740991 9007199254740993".split(" "),
  "123456789012345678901234567890",
];

const texts = [
  "",
  "a",
  "1",
  "2.0",
  "null",
  "é😀\u2028",
  "\ud800",
  "\udc00\ud800",
  "\u0000\u001f",
  '"\\',
  "[{",
  '"__jsonrpc_marshaled"',
];

const names = [
  ..."__proto__ constructor toJSON then id method params jsonrpc".split(" "),
  ..."result error token values handle lifetime __jsonrpc_marshaled".split(" "),
  ..."code message data value finished prototype length traceparent".split(" "),
  "_meta",
  "0",
  "",
  "\ud83d",
];

const garbage = [
  "",
  " \n",
  "\u0000",
  "[]",
  "{}",
  "[[]]",
  "[[],[]]",
  "null",
  "true",
  "1",
  '"text"',
  "NaN",
  "undefined",
  "[,]",
  "{,}",
  '{"jsonrpc":"2.0","method":"echo","id":1,}',
  "\ufeff{}",
  "{'a':1}",
  "// comment",
  "1e999999",
  '"\ud800"',
  "GET / HTTP/1.1\r\n\r\n",
];

/** Makes frames, one after the other. */
export class Frames {
  readonly #random: Random;
  readonly #known: Knowledge;
  #nextId = 100;

  constructor(random: Random, known: Knowledge) {
    this.#random = random;
    this.#known = known;
  }

  /** Makes the next frame: text, or bytes for a binary one. */
  next(): string | Uint8Array<ArrayBuffer> {
    const random = this.#random;
    let text: string;
    if (random.oneIn(25)) text = random.pick(garbage);
    else {
      let value = this.#frame();
      if (random.oneIn(2)) {
        for (let count = 1 + random.below(3); count > 0; count--) {
          value = this.#spoil(value);
        }
      }
      text = write(value, random.oneIn(20) ? "\n " : "");
    }
    if (random.oneIn(7)) text = this.#spoilText(text);
    if (random.oneIn(400)) text = this.#nest();
    if (random.oneIn(400)) text = this.#stretch();
    if (!random.oneIn(20)) return text;
    const bytes = new TextEncoder().encode(text);
    if (random.oneIn(4) && bytes.length > 0) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    return bytes;
  }

  #frame(): Node {
    const random = this.#random;
    if (random.oneIn(8)) return this.#batch();
    if (!this.#known.isShared || !random.oneIn(3)) return this.#message();
    return Array.from(
      { length: random.below(6) },
      () => random.oneIn(5) ? this.#batch() : this.#message(),
    );
  }

  #batch(): Node[] {
    // One that keeps a long answer waiting.
    if (this.#random.oneIn(10)) {
      return [
        this.#call("wait", undefined),
        this.#call("long", [1]),
        this.#call("echo", [this.#value(2)]),
      ];
    }
    const length = this.#random.oneIn(50) ? 101 : this.#random.below(6);
    return Array.from({ length }, () => this.#message());
  }

  #message(): Members {
    const random = this.#random;
    switch (random.below(8)) {
      case 0:
      case 1:
        return this.#response();
      case 2:
        return this.#control();
      case 3:
        return this.#call(random.pick(strangers), this.#params());
      default:
        return this.#call(random.pick(methods), this.#params());
    }
  }

  /** A request or a notification, in one of the versions. */
  #call(method: string, params: Node | undefined): Members {
    const random = this.#random;
    const pairs: [string, Node][] = [];
    if (!random.oneIn(6)) pairs.push(["jsonrpc", "2.0"]);
    else if (random.oneIn(5)) pairs.push(["jsonrpc", "1.0"]);
    pairs.push(["method", method]);
    if (params !== undefined) pairs.push(["params", params]);
    if (!random.oneIn(4)) pairs.push(["id", this.#id()]);
    if (random.oneIn(40)) pairs.push(["traceparent", this.#scalar()]);
    return new Members(pairs);
  }

  #control(): Members {
    const random = this.#random;
    const token = 1 + random.below(5);
    const member = (name: string, value: Node): Node =>
      random.oneIn(5) ? [value] : new Members([[name, value]]);
    switch (random.below(8)) {
      case 0:
        return this.#call("$/cancelRequest", member("id", this.#id()));
      case 1: {
        const params = new Members([
          ["token", this.#askedId()],
          ["value", this.#value(2)],
        ]);
        return this.#call("$/progress", params);
      }
      case 2:
      case 3:
        return this.#call("$/enumerator/next", member("token", token));
      case 4:
        return this.#call("$/enumerator/abort", member("token", token));
      case 5: {
        const params = new Members([
          ["handle", token],
          ["ownedBySender", random.oneIn(2)],
        ]);
        return this.#call("$/releaseMarshaledObject", params);
      }
      case 6: {
        const name = random.pick(["invoke", "get", "constructor", "", "a/b"]);
        return this.#call(`$/invokeProxy/${token}/${name}`, this.#params());
      }
      default:
        return this.#call(
          random.pick(["rpc.ping", "rpc.discover"]),
          this.#params(),
        );
    }
  }

  /** An answer to a request of the peer's, or to none. */
  #response(): Members {
    const random = this.#random;
    const id = this.#askedId();
    const method = typeof id === "number" ? this.#known.asked.get(id) : "";
    const pairs: [string, Node][] = random.oneIn(6) ? [] : [["jsonrpc", "2.0"]];
    if (random.oneIn(4)) {
      const code = random.pick([0, -32600, -32700, -32601, -32010, 5]);
      pairs.push([
        "error",
        random.oneIn(6)
          ? this.#value(2)
          : new Members([["code", code], ["message", "No"]]),
      ]);
    } else if (method === "$/enumerator/next" && !random.oneIn(4)) {
      pairs.push([
        "result",
        new Members([
          ["values", Array.from({ length: random.below(4) }, () => 1)],
          ["finished", random.oneIn(3)],
        ]),
      ]);
    } else {
      pairs.push([
        "result",
        random.oneIn(3) ? this.#carried() : this.#value(3),
      ]);
    }
    if (!random.oneIn(30)) pairs.push(["id", id]);
    return new Members(pairs);
  }

  /** The id of a request that waits for its answer, mostly. */
  #askedId(): Node {
    const waiting = [...this.#known.asked.keys()];
    return waiting.length === 0 || this.#random.oneIn(6)
      ? this.#id()
      : this.#random.pick(waiting);
  }

  /** An id: most are new, some are in flight, some are none. */
  #id(): Node {
    const random = this.#random;
    switch (random.below(16)) {
      case 0:
        return random.pick(["", "a", "b", "1", "é", "\ud800"]);
      case 1:
        return random.pick([null, 0, -1, 1.5, 0.1, 2.5, 1e-7]);
      case 2:
        return new Raw(random.pick(numbers));
      case 3:
      case 4:
        return 1 + random.below(4);
      case 5:
        return `s${random.below(4)}`;
      case 6:
        return random.oneIn(4) ? this.#value(1) : null;
      default:
        return this.#nextId++;
    }
  }

  #params(): Node | undefined {
    const random = this.#random;
    const { asked } = this.#known;
    switch (random.below(8)) {
      case 0:
        return undefined;
      case 1:
        return this.#object(2);
      case 2:
      case 3:
        return [this.#carried(), this.#scalar()];
      case 4:
        return [asked.keys().next().value ?? random.below(20)];
      default:
        // More than may be lent.
        if (random.oneIn(20)) {
          return Array.from({ length: 5 }, () => this.#carried());
        }
        return Array.from({ length: random.below(4) }, () => this.#value(2));
    }
  }

  /** A stream, a reference, or what looks like one. */
  #carried(): Node {
    const random = this.#random;
    const number = random.oneIn(6) ? this.#scalar() : 1 + random.below(5);
    if (random.oneIn(2)) {
      const pairs: [string, Node][] = [["token", number]];
      if (random.oneIn(3)) pairs.push(["values", [1, 2]]);
      if (random.oneIn(8)) pairs.push(["__proto__", this.#value(1)]);
      return new Members(pairs);
    }
    const pairs: [string, Node][] = [
      [
        "__jsonrpc_marshaled",
        random.oneIn(8) ? this.#scalar() : random.below(2),
      ],
      ["handle", number],
    ];
    if (random.oneIn(2)) pairs.push(["lifetime", "call"]);
    const reference = new Members(pairs);
    switch (random.below(6)) {
      case 0:
        return [[reference]];
      case 1:
        return new Members([[
          random.pick(["then", "toJSON", "get"]),
          reference,
        ]]);
      default:
        return reference;
    }
  }

  #value(depth: number): Node {
    const random = this.#random;
    if (depth === 0 || random.oneIn(2)) return this.#scalar();
    if (random.oneIn(6)) return this.#carried();
    return random.oneIn(2)
      ? this.#object(depth - 1)
      : Array.from({ length: random.below(4) }, () => this.#value(depth - 1));
  }

  #object(depth: number): Members {
    return new Members(
      Array.from(
        { length: this.#random.below(4) },
        () => [this.#random.pick(names), this.#value(depth)],
      ),
    );
  }

  #scalar(): Node {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return random.pick([null, true, false]);
      case 1:
        return new Raw(random.pick(numbers));
      case 2:
        return random.pick(texts);
      case 3:
        return random.pick(names);
      default:
        return random.below(10);
    }
  }

  /** Changes a value at one place. */
  #spoil(value: Node): Node {
    const random = this.#random;
    const isLeaf = !(Array.isArray(value) || value instanceof Members);
    if (isLeaf || random.oneIn(12)) {
      return random.pick([
        () => this.#value(3),
        () => [value],
        () => [value, value],
        () => new Members([[random.pick(names), value]]),
      ])();
    }
    const items: unknown[] = Array.isArray(value) ? [...value] : value.pairs
      .map(([name, member]) => [name, member]);
    const at = random.below(items.length);
    const made = (): unknown =>
      Array.isArray(value)
        ? this.#value(2)
        : [random.pick(names), this.#value(2)];
    switch (items.length === 0 ? 4 : random.below(8)) {
      case 0:
        items.splice(at, 1);
        break;
      case 1:
        items.splice(random.below(items.length), 0, items[at]);
        break;
      case 2:
        items.push(...items.splice(at, 1));
        break;
      case 3:
        items[at] = made();
        break;
      case 4:
        items.splice(at, 0, made());
        break;
      case 5:
        if (!Array.isArray(value)) {
          const [, member] = items[at] as [string, Node];
          items[at] = [random.pick(names), member];
          break;
        }
        // Falls through to what changes the value within.
      default:
        items[at] = Array.isArray(value) ? this.#spoil(items[at] as Node) : [
          (items[at] as [string, Node])[0],
          this.#spoil((items[at] as [string, Node])[1]),
        ];
    }
    return Array.isArray(value)
      ? items as Node[]
      : new Members(items as [string, Node][]);
  }

  #spoilText(text: string): string {
    const random = this.#random;
    const at = random.below(text.length + 1);
    const to = at + random.below(8);
    switch (random.below(7)) {
      case 0:
        return text.slice(0, at);
      case 1:
        return text.slice(0, at) + text.slice(to);
      case 2:
        return text.slice(0, to) + text.slice(at);
      case 3:
        return text.slice(0, at) +
          String.fromCharCode(random.below(random.pick([0x80, 0x1_0000]))) +
          text.slice(at + random.below(2));
      case 4:
        return text + write(this.#frame(), "");
      case 5:
        return `${random.pick([" ", "\n", "\ufeff", "[", "\t"])}${text}`;
      default:
        return `[${text},${write(this.#message(), "")}]`;
    }
  }

  /** A call that is nested as deep as may be, or deeper. */
  #nest(): string {
    const { depth } = this.#known;
    const levels = this.#random.pick([depth - 2, depth - 1, depth, 5_000]);
    const open = this.#random.pick(["[", '{"a":']);
    const end = this.#random.oneIn(3)
      ? ""
      : (open === "[" ? "]" : "}").repeat(levels);
    return `{"jsonrpc":"2.0","method":"echo","id":${this.#nextId++},"params":${
      open.repeat(levels)
    }${open === "[" ? "" : "0"}${end}}`;
  }

  /** A call that is as long as may be in one of its parts, or longer. */
  #stretch(): string {
    const random = this.#random;
    const { messageLength, idLength, methodLength } = this.#known;
    const longer = random.below(2);
    const id = "i".repeat(idLength + longer);
    const rows = [
      `{"jsonrpc":"2.0","method":"echo","id":"${id}"}`,
      `{"jsonrpc":"2.0","method":"${
        "m".repeat(methodLength + longer)
      }","id":${this.#nextId++}}`,
      `{"jsonrpc":"2.0","method":"${"m".repeat(methodLength + longer)}"}`,
      // An id that is looked for in all of the text.
      `{"jsonrpc":"2.0","method":"echo","params":[${
        '{"id":1.5},'.repeat(Math.min(messageLength / 20, 1_000))
      }0],"id":${random.pick(["1.5", "1.50", "2.5", "0.1"])}}`,
    ];
    const long = `{"jsonrpc":"2.0","method":"nothing","id":${this.#nextId++}`;
    // Of the usual limit, not every frame that might be.
    if (messageLength < 10_000 || random.oneIn(10)) {
      rows.push(
        `${long}${" ".repeat(messageLength + longer - long.length - 1)}}`,
      );
    }
    return random.pick(rows);
  }
}

function write(value: Node, space: string): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) {
    return `[${space}${value.map((item) => write(item, space)).join()}]`;
  }
  if (value instanceof Members) {
    const members = value.pairs.map(([name, member]) =>
      `${quote(name)}:${space}${write(member, space)}`
    );
    return `{${members.join(`,${space}`)}}`;
  }
  return typeof value === "string" ? quote(value) : JSON.stringify(value);
}

/** As JSON has it; lone surrogates as they are, half of the time. */
function quote(text: string): string {
  const quoted = JSON.stringify(text);
  return text.length % 2 === 0 ? quoted : quoted.replace(
    /\\u(d[89a-f]..)/g,
    (_, code: string) => String.fromCharCode(parseInt(code, 16)),
  );
}
