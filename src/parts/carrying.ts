/**
 * What a connection carries beside JSON: streams, functions, objects. Each such
 * part has a file of its own, and what they share is here.
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import type { CallOptions } from "../peer/call.ts";
import type { Connection, Core, CorePart, RunningCall } from "../peer/core.ts";
import { answer, within } from "../peer/incoming.ts";
import { type Method, takesPlain } from "../peer/methods.ts";
import { request } from "../peer/outgoing.ts";
import { closedError, report } from "../peer/owner.ts";
import type { Entry, Loan } from "../peer/pending.ts";
import type { Lender, Values, Writing } from "../peer/seams.ts";
import { isLosing, tell, versionOf } from "../peer/sending.ts";
import { advance, renew } from "../peer/waiting.ts";
import type { Limits } from "../wire/limits.ts";
import { tooManyStreams } from "../wire/codes.ts";
import { RpcError } from "../wire/error.ts";
import { JsonText, type Params, writeValue } from "../wire/message.ts";

/** What is being turned into text right now. */
let current: Writing | undefined;

/** Turns a value into text; what it holds may ask by {@linkcode currentWriting} for whom. */
function withWriting<T>(writing: Writing, run: () => T): T {
  const outer = current;
  current = writing;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/** What is being turned into text right now, if it is for a peer. */
export function currentWriting(): Writing | undefined {
  return current;
}

/**
 * Turns a value into text that is for a peer elsewhere: nothing can be lent with it.
 *
 * @throws {TypeError} It holds what is marked to be lent, or was lent by a peer.
 */
export function writePlain<T>(write: () => T): T {
  return withWriting({ ...startWriting(undefined), link: {} }, write);
}

/** What one part does for one connection. */
export interface Carrier {
  /** Replaces an argument or a result that JSON can't say; else returns it. */
  write(value: unknown, writing: Writing): unknown;
  /**
   * Replaces an argument or a result that the other side wrote so.
   *
   * @param text The frame that it came in.
   */
  read(value: unknown, text: string): unknown;
  /** Lets go of what a result carries that nobody waits for any more. */
  discard(value: unknown, text: string): void;
  /** Finds a method that is not the owner's. */
  find?(name: string): Method | undefined;
  /** Lets the promise of a call be used as what it will be. */
  decorate?(promise: Promise<unknown>, options: CallOptions | undefined): void;
  /**
   * Answers one of the protocol's own methods: `undefined` if it is none of
   * these, else its result, or a promise of it.
   */
  control(
    method: string,
    params: Params | undefined,
    call: Lender,
  ): unknown;
  /** For what a result must wait before it is written; `undefined`: nothing. */
  turn?(value: unknown, call: Lender): Promise<void> | undefined;
  /** A stream that was lent has ended. */
  freed?(): void;
  /** The connection closed. */
  end(): void;
}

/** What may be lent to the peer: so many of each. */
type Kind = "streams" | "references";

/** A part of which each connection has its own. */
interface CarryingPart extends CorePart {
  readonly make: (link: Link) => Carrier;
}

/** Makes a part out of what makes its carrier for a connection. */
export function carrying(
  name: string,
  make: (link: Link) => Carrier,
): CorePart {
  const part: CarryingPart = {
    name,
    make,
    carry: (core, parts) =>
      new Link(core, parts as readonly Partial<CarryingPart>[]),
  };
  return part;
}

/**
 * One connection, as its carriers see it: what it carries knows nothing of the next
 * one's tokens.
 */
export class Link implements Values {
  readonly limits: Limits;
  readonly #core: Core;
  readonly #connection: Connection;
  readonly #carriers: Carrier[] = [];
  /** The one that decorates promises: each call would look for it. */
  readonly #decorator: Carrier | undefined;
  /** What the peer was lent. */
  readonly #out: { [kind in Kind]: number } = { streams: 0, references: 0 };
  #isReleasing = false;
  /** UTF-16 code units of the values that its streams have produced ahead. */
  ahead = 0;
  /** The number of the frame of which the next two are told. */
  #frame = 0;
  /** Whether it has a marker in it; `undefined`: nobody has looked. */
  #has: boolean | undefined;
  /** How much the peer lent in it. */
  #taken = 0;
  /** What it lent to the methods that run, when they were last counted. */
  #borrowed = 0;
  /** Rejects once it is known why. */
  #ending: Deferred<never> | undefined;

  constructor(core: Core, parts: readonly Partial<CarryingPart>[]) {
    this.limits = core.limits;
    this.#core = core;
    this.#connection = core.connection;
    for (const { make } of parts) {
      if (make !== undefined) this.#carriers.push(make(this));
    }
    this.#decorator = this.#carriers.find(({ decorate }) => decorate);
  }

  /** Sends a request by this connection, and no other; see {@linkcode Peer.request}. */
  request(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<unknown> {
    if (this.#connection.ended !== undefined) {
      return Promise.reject(this.#closedError());
    }
    if (!isLosing(this.#core)) {
      return request(this.#core, method, params, options);
    }
    return (this.#ending ??= new Deferred<never>()).promise;
  }

  /** Sends one of the protocol's own notifications, in version 2.0 alone. */
  notify(method: string, params: Params): boolean {
    return this.#connection.ended === undefined &&
      tell(this.#core, method, params);
  }

  /**
   * Refuses what the connection can't carry.
   *
   * @throws {TypeError} The version that is spoken has no such thing.
   */
  check(what: string, kind: Kind): void {
    const version = versionOf(this.#core);
    if (version === "2.0") return;
    throw new TypeError(`Cannot ${what}: JSON-RPC ${version} has no ${kind}`);
  }

  /**
   * Counts one more that is lent: a result's at once, a param's with its request,
   * which waits until there is room.
   *
   * @throws {TypeError} The version that is spoken has no such thing.
   * @throws {RpcError} One more would be too many.
   */
  add(what: string, kind: Kind, writing: Writing): void {
    this.check(what, kind);
    const most = this.limits[kind];
    const isResult = writing.call !== undefined;
    const size = isResult ? this.#out[kind] : writing[kind];
    if (size >= most) {
      const where = isResult ? "are open" : "go with one call";
      throw new RpcError(
        tooManyStreams,
        `Cannot ${what}: ${size} of at most ${most} ${kind} ${where}, see limits.${kind}`,
      );
    }
    writing[kind]++;
    if (writing.isOut) this.#out[kind]++;
  }

  /** One that was lent was let go of: others may be waiting for that. */
  remove(kind: Kind, writing: Writing): void {
    writing[kind]--;
    if (!writing.isOut) return;
    this.#out[kind]--;
    if (!this.#isReleasing) this.#advance();
    if (kind === "references") return;
    for (const carrier of this.#carriers) carrier.freed?.();
  }

  /**
   * Counts one more that the peer lends: in one frame and, among the arguments of
   * methods that run, at a time, there may be as many as may be lent to it.
   *
   * @throws {RpcError} One more would be too many: what holds it is not read.
   */
  borrow(kind: Kind): void {
    const most = this.limits[kind];
    const { current } = this.#core;
    this.#look();
    if (
      this.#taken >= most ||
      current !== undefined && this.#borrowed >= most &&
        this.#countBorrowed(current) >= most
    ) {
      throw new RpcError(
        tooManyStreams,
        `Cannot take ${kind}: there are more than ${most}, see limits.${kind}`,
      );
    }
    this.#taken++;
    if (current === undefined) return;
    current.borrowed++;
    this.#borrowed++;
  }

  /** Counts again, since nobody is told when a method ends. */
  #countBorrowed(current: RunningCall): number {
    let count = current.borrowed;
    for (const running of this.#connection.running ?? []) {
      count += running.borrowed;
    }
    return this.#borrowed = count;
  }

  canLend(messages: readonly Entry[]): boolean | undefined {
    let streams = 0;
    let references = 0;
    for (const { pending } of messages) {
      if (pending?.settled !== false || pending.loan === undefined) continue;
      streams += pending.loan.streams;
      references += pending.loan.references;
    }
    return streams + references === 0
      ? undefined
      : this.hasRoom({ streams, references });
  }

  hasRoom({ streams, references }: Pick<Loan, Kind>): boolean {
    const { limits } = this;
    return this.#out.streams + streams <= limits.streams &&
      this.#out.references + references <= limits.references;
  }

  get isLending(): boolean {
    return this.#out.streams + this.#out.references > 0;
  }

  lend(loan: Loan): void {
    if (loan.isOut) return;
    loan.isOut = true;
    this.#out.streams += loan.streams;
    this.#out.references += loan.references;
  }

  /** Notes a sign of life from the call to which something was lent. */
  renew(loan: Loan): void {
    renew(this.#core, loan);
  }

  /** Notes that this side has answered a question about what it lent. */
  answer(loan: Loan): void {
    answer(this.#core, loan);
  }

  /** The call that is being read, where it has to show that it is alive. */
  get call(): Lender | undefined {
    return this.limits.handlerTimeout < Infinity
      ? this.#core.current
      : undefined;
  }

  /** Runs something of the owner's as part of a call, so that `call` is it. */
  within<T>(call: Lender | undefined, run: () => T): T {
    return within(this.#core, call, run);
  }

  /** Counts the message that is being read no more among those nobody asked for. */
  giveBack(): void {
    this.#core.bounds?.giveBack();
  }

  /** Why a method was not found that may have been meant to be. */
  explain(target: object, method: string): Error | undefined {
    return this.#core.hints?.explain(target, method);
  }

  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void {
    report(this.#core, error);
  }

  // Most calls carry nothing but scalars, and pay for a look at each alone
  // (bench/, "one process").

  /** Begins to write params; `undefined` if they hold nothing to look at. */
  startParams(params: Params | undefined): Writing | undefined {
    return mayHoldReference(params) ? startWriting(undefined) : undefined;
  }

  turn(value: unknown, call: Lender): Promise<void> | undefined {
    for (const carrier of this.#carriers) {
      const turn = carrier.turn?.(value, call);
      if (turn !== undefined) return turn;
    }
    return undefined;
  }

  /** Begins to write a call's result; `undefined` if there is nothing to look at. */
  startResult(value: unknown, call: Lender): Writing | undefined {
    return isReference(value) ? startWriting(call) : undefined;
  }

  /** Writes a result as JSON. */
  writeResult(value: unknown, writing: Writing): string {
    const written = this.#write(value, writing);
    return written instanceof JsonText
      ? written.text
      : withWriting(writing, () => writeValue(written));
  }

  #write(value: unknown, writing: Writing): unknown {
    if (!isReference(value)) return value;
    for (const carrier of this.#carriers) {
      value = carrier.write(value, writing);
    }
    return value;
  }

  /** Writes each of a call's params, and then all of them. */
  writeParams<T>(
    params: Params | undefined,
    writing: Writing,
    write: (params: Params | undefined) => T,
  ): T {
    const written = mapMembers(params, (param) => this.#write(param, writing));
    return withWriting(writing, () => write(written));
  }

  /** Lets go of all that was kept for what was written. */
  release(writing: Writing | undefined, succeeded = false): void {
    if (writing === undefined) return;
    // Who ends a call lets others have its place, once the peer knows of it.
    this.#isReleasing = true;
    for (const release of writing.releases) release(succeeded);
    this.#isReleasing = false;
    if (writing.call !== undefined) this.#advance();
  }

  #advance(): void {
    if (this.#core.queue.size > 0) advance(this.#core);
  }

  /** Reads a result. */
  read(value: unknown, text: string): unknown {
    if (!isReference(value)) return value;
    for (const carrier of this.#carriers) value = carrier.read(value, text);
    return value;
  }

  /** Reads each of a call's params, unless they are for one who takes plain data. */
  readParams(
    params: Params | undefined,
    text: string,
    fn: object,
  ): Params | undefined {
    return mayHoldReference(params) && !takesPlain(fn)
      ? this.#readMembers(params, text)
      : params;
  }

  #readMembers(params: Params | undefined, text: string): Params | undefined {
    return mapMembers(
      params,
      (param, name) => isCalled(name) ? param : this.read(param, text),
    );
  }

  /** Lets the promise of a call be used as what it will be. */
  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void {
    this.#decorator?.decorate?.(promise, options);
  }

  /** Forgets what is known of the last frame, if this is another one. */
  #look(): void {
    const { frame } = this.#connection;
    if (this.#frame === frame) return;
    this.#frame = frame;
    this.#has = undefined;
    this.#taken = 0;
  }

  /**
   * Whether the frame that is being read has a marker in it: looked for once, and
   * only where an object is read, since most messages are too short to pay for it.
   */
  has(marker: string, text: string): boolean {
    this.#look();
    return this.#has ??= text.includes(marker);
  }

  /** Lets go of what a result carries that nobody waits for any more. */
  discard(value: unknown, text: string): void {
    if (!isReference(value)) return;
    for (const carrier of this.#carriers) carrier.discard(value, text);
  }

  /** Finds a method that is not the owner's. */
  find(name: string): Method | undefined {
    for (const carrier of this.#carriers) {
      const method = carrier.find?.(name);
      if (method !== undefined) return method;
    }
    return undefined;
  }

  /** Answers one of the protocol's own methods; `undefined`: none of these. */
  control(
    method: string,
    params: Params | undefined,
    call: Lender,
  ): unknown {
    for (const carrier of this.#carriers) {
      const result = carrier.control(method, params, call);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  cut(): void {
    this.#ending?.reject(this.#closedError());
  }

  // An error has a stack, which most connections end without.
  #closedError(): Error {
    const what = "Cannot send request";
    return closedError(
      this.#core,
      what,
      false,
      undefined,
      false,
      this.#connection,
    );
  }

  /** The connection closed. */
  end(): void {
    for (const carrier of this.#carriers) carrier.end();
  }
}

/**
 * Whether what has this name is called by itself, if it is a function: by whoever
 * awaits what it is in, or writes that as JSON.
 */
export function isCalled(name: string | undefined): boolean {
  return name === "then" || name === "toJSON";
}

/** Whether a value is one that a carrier might write or read. */
function isReference(value: unknown): boolean {
  return typeof value === "object" && value !== null ||
    typeof value === "function";
}

function mayHoldReference(params: Params | undefined): boolean {
  return Array.isArray(params)
    ? params.some(isReference)
    : params !== undefined;
}

function startWriting(call: Lender | undefined): Writing {
  return {
    call,
    releases: [],
    marshal: undefined,
    link: undefined,
    streams: 0,
    references: 0,
    isOut: call !== undefined,
    pending: undefined,
    asked: 0,
  };
}

/** Params with each member replaced, the same ones if nothing was. */
function mapMembers(
  params: Params | undefined,
  replace: (member: unknown, name?: string) => unknown,
): Params | undefined {
  if (params === undefined) return undefined;
  if (Array.isArray(params)) {
    let replaced: unknown[] | undefined;
    for (let index = 0; index < params.length; index++) {
      const replacement = replace(params[index]);
      if (replacement === params[index]) continue;
      // The caller's own array stays as it is.
      replaced ??= params.slice();
      replaced[index] = replacement;
    }
    return replaced ?? params;
  }
  // What writes itself does so whole.
  if (typeof (params as { toJSON?: unknown }).toJSON === "function") {
    return params;
  }
  let isReplaced = false;
  const entries = Object.entries(params).map(([name, member]) => {
    const replacement = replace(member, name);
    if (replacement !== member) isReplaced = true;
    return [name, replacement] as const;
  });
  return isReplaced ? Object.fromEntries(entries) : params;
}
