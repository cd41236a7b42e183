/**
 * Functions and objects by reference: the other side gets a proxy, and calls of the
 * proxy run here.
 *
 * The protocol is that of StreamJsonRpc's marshalable objects:
 * `{"__jsonrpc_marshaled":1,"handle":5}` stands for the object,
 * `$/invokeProxy/5/method` calls it, `$/releaseMarshaledObject` releases it.
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
import type { Lender, Marshaler, Writing } from "../peer/seams.ts";
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
import { createMethod, ofMethods, ownerOf } from "../peer/remote.ts";

/**
 * The part for functions and objects by reference, in both directions. Every
 * {@linkcode Peer} has it; the small one of `@jsonrpcws/peer/slim` if `use` lists
 * it.
 */
export const references: Part = /* @__PURE__ */ carrying(
  "references",
  (link) => new References(link),
);

/** The lifetime of a reference. */
export interface MarshalOptions {
  /**
   * `"call"`, the default for arguments: until the call that it is passed to is
   * answered. `"explicit"`: until either side releases it by `Symbol.dispose`, or
   * the connection closes. A result is always explicit.
   *
   * An explicit object is handed over: once nobody has it any more, its own
   * `Symbol.asyncDispose`, else `Symbol.dispose`, is called; not if the owner
   * released it, nor if the request that lent it was never sent. An object that is
   * lent for a call stays the owner's, unless the other side disposes of it.
   */
  lifetime?: "call" | "explicit";
}

/**
 * Marks an object or a function to be passed by reference, at any depth of
 * arguments or results. A function needs no mark if it is itself an argument or the
 * result.
 *
 * The other side can call the object's own functions, by the same rules as for
 * `local`. Disposing of the mark releases the object at every peer.
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
 * @param options The lifetime of the reference.
 */
export function marshal<Target extends object>(
  target: Target,
  options: MarshalOptions = {},
): Marshaled<Target> {
  return new Mark(target, options.lifetime) as unknown as Marshaled<Target>;
}

/** The mark of an object that is passed by reference. */
class Mark implements Releasable {
  readonly target: object;
  readonly lifetime: "call" | "explicit" | undefined;
  /** The functions that release it, one for each peer that it was lent to. */
  readonly releases: Set<() => void> = new Set();

  constructor(target: object, lifetime: "call" | "explicit" | undefined) {
    this.target = target;
    this.lifetime = lifetime;
  }

  /** Called by JSON.stringify, at any depth. */
  toJSON(): unknown {
    const writing = currentWriting();
    if (writing?.marshaler === undefined) {
      throw new TypeError(
        "Cannot pass by reference: only arguments and results can hold it, of a peer that uses references",
      );
    }
    return writing.marshaler.lend(this, writing);
  }

  [Symbol.dispose](): void {
    for (const release of [...this.releases]) release();
  }
}

/** An object or a function that was lent to the peer. */
interface Lent {
  readonly target: object;
  readonly methods: Methods;
  /** The params or the result that lent it. */
  readonly loan: Loan;
  /** Whether it was handed over: its lifetime is explicit. */
  readonly isGiven: boolean;
  /**
   * Removes it from this table and from its mark.
   *
   * @param isLeft Whether the other side released it.
   */
  readonly forget: (isLeft: boolean) => void;
}

/** The count of an object whose disposal is called when nobody has it any more. */
interface Holding {
  /** How often it is lent, to all peers together. */
  count: number;
  /** Whether one of these peers released it. */
  isLeft: boolean;
}

const holdings = new WeakMap<object, Holding>();

/**
 * Counts an object that is lent once more; `undefined`: it has no disposal to call.
 */
function hold(target: object): Holding | undefined {
  if (disposerOf(target) === undefined) return undefined;
  const holding = holdings.get(target) ?? { count: 0, isLeft: false };
  holdings.set(target, holding);
  holding.count++;
  return holding;
}

/** The disposal of an object, chosen as `await using` chooses it. */
function disposerOf(target: object): (() => unknown) | undefined {
  const { [Symbol.asyncDispose]: later, [Symbol.dispose]: now } = target as {
    [Symbol.asyncDispose]?: () => unknown;
    [Symbol.dispose]?: () => unknown;
  };
  return later ?? now;
}

/** An object of the other side, behind a proxy. */
interface Borrowed {
  readonly references: References;
  readonly handle: number;
  /** The proxy; `undefined`: it was given back. */
  proxy: object | undefined;
  /** Whether the proxy was ever called, so that it is no mere data. */
  isUsed: boolean;
  /** Whether the owner was told that it can't be passed on. */
  isTold: boolean;
  /**
   * Whether it came without a lifetime, as from StreamJsonRpc: then its disposal is
   * also told by StreamJsonRpc's methods, beside the release.
   */
  readonly isBare: boolean;
}

/** Whose proxy a function is; `undefined`: it is none, or was given back. */
function borrowedOf(value: object): Borrowed | undefined {
  const its = ownerOf(value) as Borrowed | undefined;
  return its?.proxy === value ? its : undefined;
}

/** What all proxies inherit from: of its own each would have a third of its cost. */
const ofProxies: object = /* @__PURE__ */ createShape();

// A function, so that a bundler can leave it out.
function createShape(): object {
  return Object.create(ofMethods, {
    [Symbol.dispose]: {
      value(this: object): void {
        const its = borrowedOf(this);
        its?.references.giveBack(its);
      },
    },
    toJSON: {
      value(this: object): object | undefined | null {
        const its = ownerOf(this) as Borrowed | undefined;
        return its?.references.returned(its);
      },
    },
  });
}

const marker = "__jsonrpc_marshaled";
const writtenMarker = /"__jsonrpc_marshaled"/;

// The method by which a function is called, as if it were an object.
const invoke = "invoke";

const invokeProxy = /^\$\/invokeProxy\/(\d{1,15})\/(.*)$/s;

// The methods by which StreamJsonRpc disposes of an object: of a typed one, and of
// a mere IDisposable.
const disposals = ["Dispose", "dispose"];

class References implements Carrier, Marshaler {
  readonly #link: Link;
  #lent: Map<number, Lent> | undefined;
  #nextHandle = 1;
  /** Number of calls in flight to what the peer lent. */
  #calls = 0;
  /** The calls that wait for their turn. */
  #turns: Set<() => void> | undefined;
  /**
   * The list for proxies that are made only to be released; `undefined` otherwise.
   */
  #unwanted: Borrowed[] | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  write(value: unknown, writing: Writing): unknown {
    writing.link = this.#link;
    writing.marshaler ??= this;
    if (typeof value !== "function") return value;
    const its = borrowedOf(value);
    if (its === undefined) {
      return this.lend(new Mark(value, undefined), writing);
    }
    // A borrowed function has a toJSON; see #borrow.
    if (its.references !== this) throw passedOn();
    return value;
  }

  read(value: unknown, text: string): unknown {
    return this.#link.has(writtenMarker, text) ? this.#revive(value, 0) : value;
  }

  discard(value: unknown, text: string): void {
    if (!this.#link.has(writtenMarker, text)) return;
    const unwanted: Borrowed[] = this.#unwanted = [];
    try {
      this.#revive(value, 0);
    } catch {
      return; // Over the limit: none of them is released.
    } finally {
      this.#unwanted = undefined;
    }
    for (const its of unwanted) this.giveBack(its);
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
      // An object that its sender owns is not in this table.
      if (readParam(params, "ownedBySender", 1) === true) return null;
      handle = readParam(params, "handle", 0);
    } else {
      // StreamJsonRpc's release of an object that has no method of that name.
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

  lend(mark: Mark, writing: Writing): object {
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
    // No message is sent: StreamJsonRpc would take it for one about its own object
    // with this handle, and other peers need none.
    const release = (): void => forget(false);
    const methods = new Methods(target);
    all.set(handle, { target, methods, forget, isGiven, loan: writing });
    mark.releases.add(release);
    writing.releases.push((succeeded) => {
      if (!isGiven || !succeeded) forget(isGiven && writing.isOut);
    });
    // Never "call": StreamJsonRpc closes the connection when such a reference is
    // disposed of.
    return { [marker]: 1, handle, lifetime: "explicit" };
  }

  /** Counts an object that is lent once less. */
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

  /**
   * Replaces the markers in a value by proxies, and by this side's own objects that
   * come back.
   */
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
        const its = this.#borrow(handle as number, lifetime === undefined);
        if (this.#unwanted === undefined) return this.#makeProxy(its);
        this.#unwanted.push(its);
        return value;
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
      // Not by assignment, because a member may be named "__proto__".
      Object.defineProperty(value, key, {
        value: revived,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    return value;
  }

  /** @param isBare Whether the marker had no lifetime; see {@linkcode Borrowed}. */
  #borrow(handle: number, isBare: boolean): Borrowed {
    this.#link.borrow("references");
    return {
      references: this,
      handle,
      proxy: undefined,
      isBare,
      isUsed: false,
      isTold: false,
    };
  }

  #makeProxy(its: Borrowed): object {
    const path = `$/invokeProxy/${its.handle}/`;
    const { call } = this.#link;
    const proxy = createMethod(
      (method, params) => {
        its.isUsed = true;
        return this.#ask(path + method, params, call);
      },
      invoke,
      "",
      ofProxies,
      its,
    );
    its.proxy = proxy;
    return proxy;
  }

  #ask(
    method: string,
    params: Params | undefined,
    call: Lender | undefined,
  ): Promise<unknown> {
    const promise = this.#call(method, params, call);
    // Caught, because a rejection that nobody waits for would end the process: of a
    // callback that isn't awaited, or of a proxy that the other side put where the
    // runtime calls a function by itself.
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
    // A queue of their own, because the calls in the other queue may be waiting for
    // this callback.
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

  /** Ends a call, and gives its place to the next one. */
  #pass(): void {
    const [next] = this.#turns ?? [];
    if (next === undefined) this.#calls--;
    else {
      this.#turns!.delete(next);
      next();
    }
  }

  /**
   * The JSON of a borrowed function: a marker for the side that it came from, where
   * it becomes the original again.
   */
  returned(its: Borrowed): object | undefined | null {
    const writing = currentWriting();
    // For a log, or for a peer without references: written like any function.
    if (writing?.link === undefined) return undefined;
    const { handle } = its;
    if (writing.link === this.#link) return { [marker]: 0, handle };
    // Another peer would take the handle for an object of its own.
    if (writing.call === undefined || its.isUsed) throw passedOn();
    // Deep in stored data it becomes null, rather than an error: else whoever
    // stored it would make every later message with it fail.
    if (!its.isTold) (writing.link as Link).report(passedOn());
    its.isTold = true;
    return null;
  }

  /** Lets go of what the other side lent. */
  giveBack(its: Borrowed): void {
    const { handle, isBare } = its;
    its.proxy = undefined;
    for (const name of isBare ? disposals : []) {
      this.#link.notify(`$/invokeProxy/${handle}/${name}`, []);
    }
    const params = { handle, ownedBySender: false };
    this.#link.notify("$/releaseMarshaledObject", params);
  }
}

// Deeper values stay data; no sensible message is as deep.
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
