/**
 * Functions and objects by reference: the other side gets something that it can
 * call, and calls it here.
 *
 * The protocol is that of StreamJsonRpc's marshalable objects:
 * `{"__jsonrpc_marshaled":1,"handle":5}` stands for the object,
 * `$/invokeProxy/5/method` calls it, `$/releaseMarshaledObject` lets go of it.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const local = {
 *   async each(names: string[], visit: (name: string) => Promise<void>) {
 *     for (const name of names) await visit(name);
 *   },
 * };
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * const visited: string[] = [];
 * await client.remote.each(["ann", "bob"], (name) => void visited.push(name));
 * assertEquals(visited, ["ann", "bob"]);
 * ```
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/exotic_types/general_marshaled_objects.md#protocol}
 *
 * @module
 */

import { unknownToken } from "../wire/codes.ts";
import { RpcError } from "../wire/error.ts";
import type { Part } from "../peer/options.ts";
import type { Lender, Writing } from "../peer/seams.ts";
import type { Loan } from "../peer/pending.ts";
import {
  type Carrier,
  carrying,
  currentWriting,
  isCalled,
  type Link,
} from "./carrying.ts";
import { givenBack, type Params, readParam } from "../wire/message.ts";
import { type Method, Methods } from "../peer/methods.ts";
import type { Marshaled, Releasable } from "../peer/contract.ts";
import { createMethod } from "../peer/remote.ts";

/**
 * The functions and objects that a peer lends, and those lent to it. Every
 * {@linkcode Peer} has them; that of `@jsonrpcws/peer/slim` with `use`.
 */
export const references: Part = /* @__PURE__ */ carrying(
  "references",
  (link) => new References(link),
);

/** The lifetime of a reference. */
export interface MarshalOptions {
  /**
   * `"call"`, the default of arguments: until the call that it is passed to is
   * answered. `"explicit"`: until either side lets go of it with
   * `Symbol.dispose`, or the connection closes; what is returned always is.
   *
   * What is explicit was handed over: when nobody has it any more, its own
   * `Symbol.asyncDispose`, else `Symbol.dispose`, is called. Not if it was the owner
   * who let go, nor where the request that lent it was never sent. What is lent for
   * a call stays the owner's, unless the other side disposes of it.
   */
  lifetime?: "call" | "explicit";
}

/**
 * Marks an object or a function to be passed by reference, wherever it stands in
 * arguments or results. An argument or a result that is a function needs no mark.
 *
 * The other side can call the object's own functions, found as those of `local`
 * are. Disposing of the mark lets go of it at every peer.
 *
 * ```ts
 * import { marshal, Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const local = {
 *   open: () => {
 *     let count = 0;
 *     return marshal({ next: () => ++count });
 *   },
 * };
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * using counter = await client.remote.open();
 * assertEquals([await counter.next(), await counter.next()], [1, 2]);
 * ```
 *
 * @param target The object or function.
 * @param options How long it can be called.
 */
export function marshal<Target extends object>(
  target: Target,
  options: MarshalOptions = {},
): Marshaled<Target> {
  return new Mark(target, options.lifetime) as unknown as Marshaled<Target>;
}

/** An object that is to be passed by reference. */
class Mark implements Releasable {
  readonly target: object;
  readonly lifetime: "call" | "explicit" | undefined;
  /** How to let go of it, at each peer that it was lent to. */
  readonly releases: Set<() => void> = new Set();

  constructor(target: object, lifetime: "call" | "explicit" | undefined) {
    this.target = target;
    this.lifetime = lifetime;
  }

  /** Asked for while it is turned into text, at whatever depth it stands. */
  toJSON(): unknown {
    const marshal = currentWriting()?.marshal;
    if (marshal === undefined) {
      throw new TypeError(
        "Cannot pass by reference: only arguments and results can hold it, of a peer that uses references",
      );
    }
    return marshal(this);
  }

  [Symbol.dispose](): void {
    for (const release of [...this.releases]) release();
  }
}

/** What was lent to the peer. */
interface Lent {
  readonly target: object;
  readonly methods: Methods;
  /** With what it was lent. */
  readonly loan: Loan;
  /** Whether it was lent for longer than a call: handed over. */
  readonly isGiven: boolean;
  /**
   * Takes it out of this table, and out of its mark's.
   *
   * @param isLeft Whether the other side let go of it.
   */
  readonly forget: (isLeft: boolean) => void;
}

/** An object whose disposal is called when nobody has it any more. */
interface Holding {
  /** How often it is lent, to whatever peer. */
  count: number;
  /** Whether one of these let go of it. */
  isLeft: boolean;
}

const holdings = new WeakMap<object, Holding>();

/** Notes that an object is lent once more; `undefined`: it need not be told. */
function hold(target: object): Holding | undefined {
  if (disposerOf(target) === undefined) return undefined;
  const holding = holdings.get(target) ?? { count: 0, isLeft: false };
  holdings.set(target, holding);
  holding.count++;
  return holding;
}

/** What is called when nobody has an object any more; as `await using` does. */
function disposerOf(target: object): (() => unknown) | undefined {
  const { [Symbol.asyncDispose]: later, [Symbol.dispose]: now } = target as {
    [Symbol.asyncDispose]?: () => unknown;
    [Symbol.dispose]?: () => unknown;
  };
  return later ?? now;
}

/** What a proxy of the other side's object stands for. */
interface Borrowed {
  readonly link: Link;
  readonly handle: number;
  /** Whether it was ever called, and so was no mere data. */
  isUsed: boolean;
  /** Whether anybody was told that it can't be passed on. */
  isTold: boolean;
  /**
   * Whether to tell of its disposal by StreamJsonRpc's names, beside the release:
   * StreamJsonRpc writes no lifetime, and to others one message says all.
   */
  readonly isBare: boolean;
}

const borrowed = new WeakMap<object, Borrowed>();

const marker = "__jsonrpc_marshaled";
const writtenMarker = /* @__PURE__ */ JSON.stringify(marker);

// The name by which a function is called, as if it were an object with one method.
const invoke = "invoke";

const invokeProxy = /^\$\/invokeProxy\/(\d{1,15})\/(.*)$/s;

// How StreamJsonRpc disposes of an object, and of one that is a mere IDisposable.
const disposals = ["Dispose", "dispose"];

class References implements Carrier {
  readonly #link: Link;
  #lent: Map<number, Lent> | undefined;
  #nextHandle = 1;
  /** How many calls to what the peer lent are in flight. */
  #calls = 0;
  /** Those that wait for their turn. */
  #turns: Set<() => void> | undefined;
  /** Where to note what is borrowed only to be given back. */
  #unwanted: object[] | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  write(value: unknown, writing: Writing): unknown {
    writing.link = this.#link;
    writing.marshal ??= (mark) => this.#lend(mark as Mark, writing);
    if (typeof value !== "function") return value;
    const its = borrowed.get(value);
    if (its === undefined) {
      return this.#lend(new Mark(value, undefined), writing);
    }
    // It stands for itself; see #borrow.
    if (its.link !== this.#link) throw passedOn();
    return value;
  }

  read(value: unknown, text: string): unknown {
    return this.#link.has(writtenMarker, text) ? this.#revive(value, 0) : value;
  }

  discard(value: unknown, text: string): void {
    if (!this.#link.has(writtenMarker, text)) return;
    const proxies: object[] = this.#unwanted = [];
    try {
      this.#revive(value, 0);
    } catch {
      return; // More than may be lent: each would be answered.
    } finally {
      this.#unwanted = undefined;
    }
    for (const proxy of proxies) this.#giveBack(proxy);
  }

  find(name: string): Method | undefined {
    const match = invokeProxy.exec(name);
    if (match === null) return undefined;
    const lent = this.#lent?.get(Number(match[1]));
    const method = match[2]!;
    if (lent === undefined) {
      return {
        fn: () => {
          throw unknownHandle();
        },
        self: this,
        holder: this,
        key: method,
      };
    }
    const { target, methods, loan } = lent;
    if (typeof target !== "function") {
      const found = methods.find(method);
      if (found !== undefined) return { ...found, loan };
      const why = disposals.includes(method)
        ? undefined
        : this.#link.explain(target, method);
      if (why !== undefined) this.#link.report(why);
      return undefined;
    }
    const fn = target as Method["fn"];
    return method === invoke
      ? { fn, self: target, holder: lent, key: method, loan }
      : undefined;
  }

  control(method: string, params: Params | undefined): unknown {
    let handle: unknown;
    if (method === "$/releaseMarshaledObject") {
      // What the other side owns is not kept here.
      if (readParam(params, "ownedBySender", 1) === true) return null;
      handle = readParam(params, "handle", 0);
    } else {
      // An object without a method of that name: its other side lets go of it.
      const match = invokeProxy.exec(method);
      if (match === null || !disposals.includes(match[2]!)) return undefined;
      handle = Number(match[1]);
    }
    this.#lent?.get(handle as number)?.forget(true);
    return null;
  }

  end(): void {
    for (const { forget, isGiven } of [...this.#lent?.values() ?? []]) {
      forget(isGiven);
    }
  }

  #lend(mark: Mark, writing: Writing): object {
    const all = this.#lent ??= new Map();
    this.#link.add("pass by reference", "references", writing);
    const { target } = mark;
    const handle = this.#nextHandle++;
    const isGiven = writing.call !== undefined || mark.lifetime === "explicit";
    const holding = hold(target);
    const forget = (isLeft: boolean): void => {
      if (!all.delete(handle)) return;
      mark.releases.delete(release);
      this.#link.remove("references", writing);
      if (holding !== undefined) this.#letGo(target, holding, isLeft);
    };
    // StreamJsonRpc would take a message about what this side owns for one about
    // the object of its own that has the handle; and nobody else needs one.
    const release = (): void => forget(false);
    const methods = new Methods(target);
    all.set(handle, { target, methods, forget, isGiven, loan: writing });
    mark.releases.add(release);
    writing.releases.push((succeeded) => {
      if (!isGiven || !succeeded) forget(isGiven && writing.isOut);
    });
    // Never "call": for who disposes of such a one, StreamJsonRpc closes the
    // connection.
    return { [marker]: 1, handle, lifetime: "explicit" };
  }

  /** An object is lent once less. */
  #letGo(target: object, holding: Holding, isLeft: boolean): void {
    holding.count--;
    holding.isLeft ||= isLeft;
    if (holding.count > 0) return;
    holdings.delete(target);
    if (holding.isLeft) void this.#dispose(target);
  }

  async #dispose(target: object): Promise<void> {
    try {
      await disposerOf(target)?.call(target);
    } catch (error) {
      this.#link.report(error);
    }
  }

  /** Replaces what stands for something by something that can be called. */
  #revive(value: unknown, depth: number): unknown {
    if (typeof value !== "object" || value === null || depth > maxDepth) {
      return value;
    }
    if (Object.hasOwn(value, marker)) {
      const { [marker]: kind, handle, lifetime } = value as {
        [marker]: unknown;
        handle?: unknown;
        lifetime?: unknown;
      };
      if (!Number.isSafeInteger(handle)) return value;
      if (kind === 1) {
        return this.#borrow(handle as number, lifetime === undefined);
      }
      if (kind === 0 && this.#unwanted === undefined) {
        const lent = this.#lent?.get(handle as number);
        if (lent === undefined) throw unknownHandle();
        givenBack.add(lent.target);
        return lent.target;
      }
      return value;
    }
    for (const key of Object.keys(value)) {
      if (isCalled(key)) continue;
      const member = (value as { [key: string]: unknown })[key];
      const revived = this.#revive(member, depth + 1);
      if (revived === member) continue;
      // Not by assignment: a member named "__proto__" must stay a member.
      Object.defineProperty(value, key, {
        value: revived,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    return value;
  }

  /** @param isBare Whether it came without a lifetime; see {@linkcode Borrowed}. */
  #borrow(handle: number, isBare: boolean): object {
    this.#link.borrow("references");
    const path = `$/invokeProxy/${handle}/`;
    const { call } = this.#link;
    const its: Borrowed = {
      link: this.#link,
      handle,
      isBare,
      isUsed: false,
      isTold: false,
    };
    const proxy = createMethod(
      (method, params) => {
        its.isUsed = true;
        return this.#ask(path + method, params, call);
      },
      invoke,
      "",
    );
    Object.defineProperties(proxy, {
      [Symbol.dispose]: { value: () => this.#giveBack(proxy) },
      toJSON: { value: () => this.#returned(its) },
    });
    borrowed.set(proxy, its);
    this.#unwanted?.push(proxy);
    return proxy;
  }

  #ask(
    method: string,
    params: Params | undefined,
    call: Lender | undefined,
  ): Promise<unknown> {
    const promise = this.#call(method, params, call);
    // Whoever calls back and doesn't wait must not end the process, nor must a
    // peer that puts its function where something else is called by itself.
    promise.catch(() => {});
    return promise;
  }

  async #call(
    method: string,
    params: Params | undefined,
    call: Lender | undefined,
  ): Promise<unknown> {
    const { outgoing, queued } = this.#link.limits;
    this.#link.check("call by reference", "references");
    // In a queue of their own: what a callback waits for may be the calls in the
    // other one.
    if (this.#calls < outgoing) this.#calls++;
    else if ((this.#turns ??= new Set()).size < queued) {
      await new Promise<void>((resolve) => this.#turns!.add(resolve));
    } else {
      throw new RangeError(
        `Cannot call by reference: ${queued} of at most ${queued} calls wait for their turn, see limits.queued`,
      );
    }
    call?.live();
    try {
      return await this.#link.request(method, params);
    } finally {
      call?.live();
      this.#pass();
    }
  }

  /** Gives the place of a call to the next one. */
  #pass(): void {
    const [next] = this.#turns ?? [];
    if (next === undefined) this.#calls--;
    else {
      this.#turns!.delete(next);
      next();
    }
  }

  /** Sent back to where it came from, it is the original again. */
  #returned(its: Borrowed): object | undefined | null {
    const writing = currentWriting();
    // Printed, or for a peer without references: as a function is.
    if (writing?.link === undefined) return undefined;
    const { handle } = its;
    if (writing.link === this.#link) return { [marker]: 0, handle };
    // To another peer the handle would be something of its own.
    if (writing.call === undefined || its.isUsed) throw passedOn();
    // Deep in what was stored as data: who stored it would take the rest from all.
    if (!its.isTold) (writing.link as Link).report(passedOn());
    its.isTold = true;
    return null;
  }

  #giveBack(proxy: object): void {
    const loan = borrowed.get(proxy);
    if (loan === undefined) return;
    borrowed.delete(proxy);
    const { handle, isBare } = loan;
    for (const name of isBare ? disposals : []) {
      this.#link.notify(`$/invokeProxy/${handle}/${name}`, []);
    }
    const params = { handle, ownedBySender: false };
    this.#link.notify("$/releaseMarshaledObject", params);
  }
}

// Deeper than any sensible message; what is deeper stays data.
const maxDepth = 1_000;

function passedOn(): TypeError {
  return new TypeError(
    "Cannot pass on what another peer lent: pass a function of your own that calls it",
  );
}

function unknownHandle(): RpcError {
  return new RpcError(
    unknownToken,
    "Object is unknown, or was let go of",
  );
}
