/**
 * What is done for a message grows with its length alone, whatever stands in it: its
 * characters are looked at a few times, and what is made of it is bounded. Counted, not
 * timed; `deno task attack` measures.
 */

import { assert } from "@std/assert";
import { Peer, plain } from "../../mod.ts";
import { ScriptedSocket } from "../scripted_socket.ts";
import { dear } from "./dear.ts";

/** Counts what the built-in functions are asked for, until it is disposed of. */
class Counter implements Disposable {
  /** Characters that were looked at. */
  read = 0;
  /** Properties, prototypes and entries that were set. */
  made = 0;
  readonly #restores: (() => void)[] = [];

  constructor() {
    const { prototype: strings } = String;
    this.#watch(JSON, "parse", (_, [text]) => this.read += `${text}`.length);
    this.#watch(strings, "charCodeAt", () => this.read++);
    for (const name of ["indexOf", "includes"] as const) {
      this.#watch(strings, name, (text, [part, from = 0], found) => {
        const at = typeof found === "number" ? found : -1;
        const { length } = `${text}`;
        this.read += (at === -1 ? length : at + `${part}`.length) -
          Math.min(from as number, length);
      });
    }
    this.#watch(RegExp.prototype, "exec", (pattern, [text], found) => {
      const { index, 0: { length } } = (found ??
        { index: `${text}`.length, 0: "" }) as RegExpExecArray;
      // From the end of the match before, as `matchAll` goes on.
      const { lastIndex } = pattern as RegExp;
      this.read += lastIndex === 0 ? index + length : length;
    });
    this.#watch(TextDecoder.prototype, "decode", (_, [bytes]) => {
      this.read += (bytes as ArrayBuffer).byteLength;
    });
    const count = (): number => this.made++;
    for (const name of ["defineProperty", "setPrototypeOf"] as const) {
      this.#watch(Object, name, count);
    }
    this.#watch(WeakMap.prototype, "set", count);
    this.#watch(Map.prototype, "set", count);
    this.#watch(Set.prototype, "add", count);
  }

  #watch(
    holder: object,
    name: string,
    count: (self: unknown, args: unknown[], result: unknown) => void,
  ): void {
    const all = holder as { [name: string]: (...args: unknown[]) => unknown };
    const original = all[name]!;
    let isCounting = false;
    all[name] = function (this: unknown, ...args: unknown[]): unknown {
      const result = Reflect.apply(original, this, args);
      if (!isCounting) {
        isCounting = true;
        count(this, args, result);
        isCounting = false;
      }
      return result;
    };
    this.#restores.push(() => all[name] = original);
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restores) restore();
  }
}

// To count the brackets of both kinds, to see how deep they go, to parse it, and to
// look for a word in it. Only the third and the fourth look at each by itself.
const mostReads = 5;

// What one message may lend, and what each of that is made of.
const mostMade = 4 * 1_024;

for (const [kind, frame] of Object.entries(dear)) {
  const isText = typeof frame === "string";
  const length = isText ? frame.length : frame.byteLength;
  Deno.test(`The characters of a message are looked at five times at most, and no more is made of it than may be lent: ${kind}`, async () => {
    const socket = new ScriptedSocket();
    await using peer = new Peer(socket, {
      local: {
        take() {},
        keep: plain(() => {}),
        echo: (value: unknown) => value,
      },
      limits: { sentLength: 67_108_864 },
      onerror() {},
    });
    await peer.opened;
    // The first has what is done once.
    socket.receive(isText ? `${frame}\n` : frame);
    let read: number;
    let made: number;
    {
      using counter = new Counter();
      socket.receive(frame);
      ({ read, made } = counter);
    }
    assert(read >= length, `${read} of ${length}`);
    assert(read <= mostReads * length + 4_096, `${read} of ${length}`);
    assert(made <= mostMade, `${made}`);
    socket.end();
  });
}
