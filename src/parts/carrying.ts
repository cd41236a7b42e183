/**
 * Values that JSON can't express: streams, functions and objects by reference. Each
 * part has a file of its own; this is their common ground.
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
import type { Params } from "../wire/message.ts";

/** The writing that is under way now. */
let current: Writing | undefined;

/**
 * Runs a JSON.stringify, during which {@linkcode currentWriting} says for which
 * peer it writes.
 */
function withWriting<T>(writing: Writing, run: () => T): T {
  const outer = current;
  current = writing;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/**
 * The writing that is under way now; `undefined`: nothing is being written for a
 * peer.
 */
export function currentWriting(): Writing | undefined {
  return current;
}

/**
 * Writes a value for a peer of another node, to which nothing can be lent.
 *
 * @throws {TypeError} The value holds a mark of `marshal`, or a function that a
 * peer lent.
 */
export function writePlain<T>(write: () => T): T {
  return withWriting({ ...startWriting(undefined), link: {} }, write);
}

/** A part's object for one connection. */
export interface Carrier {
  /**
   * Returns what is to be written for an argument or a result: a marker, or the
   * value itself.
   */
  write(value: unknown, writing: Writing): unknown;
  /**
   * Returns the value that a received argument or result stands for.
   *
   * @param text The text of its frame.
   */
  read(value: unknown, text: string): unknown;
  /**
   * Releases the streams and references in a result that nobody waits for any more.
   */
  discard(value: unknown, text: string): void;
  /** Finds a method of an object that was lent. */
  find?(name: string): Method | undefined;
  /**
   * Lets the promise of a call be used like its result: be iterated as a stream.
   */
  decorate?(promise: Promise<unknown>, options: CallOptions | undefined): void;
  /**
   * Answers one of the protocol's own methods: returns its result or a promise;
   * `undefined` if it is none of this part's.
   */
  control(
    method: string,
    params: Params | undefined,
    call: Lender,
  ): unknown;
  /**
   * A promise that a result must wait for before it is written; `undefined`: it
   * need not wait.
   */
  turn?(value: unknown, call: Lender): Promise<void> | undefined;
  /** Called when a stream that was lent has ended. */
  freed?(): void;
  /** Called when the connection has closed. */
  end(): void;
}

/** The kinds of values that are lent, each with a limit of this name. */
type Kind = "streams" | "references";

type Counts = { [kind in Kind]: number };

// Shared until something is lent: most connections never lend anything.
const nothing: Readonly<Counts> = { streams: 0, references: 0 };

/** A part that makes a carrier for each connection. */
interface CarryingPart extends CorePart {
  readonly make: (link: Link) => Carrier;
}

/** Makes such a part. */
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
 * One connection, as its carriers see it. Tokens and handles are valid on one
 * connection only.
 */
export class Link implements Values {
  readonly limits: Limits;
  readonly #core: Core;
  readonly #connection: Connection;
  readonly #parts: readonly Partial<CarryingPart>[];
  /** Made for the first value that may be theirs; most connections have none. */
  #made: Carrier[] | undefined;
  /** The carrier that decorates promises; kept, or each call would look for it. */
  #decorator: Carrier | undefined;
  /** How many streams and references the peer was lent. */
  #out: Readonly<Counts> = nothing;
  #isReleasing = false;
  /** UTF-16 code units of the values that all streams have produced ahead. */
  ahead = 0;
  /** The number of the frame that the next two members are about. */
  #frame = 0;
  /** Whether the frame has a marker in it; `undefined`: not looked for yet. */
  #has: boolean | undefined;
  /** How many streams and references the peer lent in the frame. */
  #taken = 0;
  /** How many it lent to the methods that run, when last counted. */
  #borrowed = 0;
  /** Rejects with the reason once the connection's end is known. */
  #ending: Deferred<never> | undefined;

  constructor(core: Core, parts: readonly Partial<CarryingPart>[]) {
    this.limits = core.limits;
    this.#core = core;
    this.#connection = core.connection;
    this.#parts = parts;
  }

  get #lent(): Counts {
    if (this.#out === nothing) this.#out = { ...nothing };
    return this.#out;
  }

  get #carriers(): Carrier[] {
    return this.#made ?? this.#make();
  }

  #make(): Carrier[] {
    const made = this.#parts.filter(({ make }) => make)
      .map(({ make }) => make!(this));
    this.#decorator = made.find(({ decorate }) => decorate);
    return this.#made = made;
  }

  /** Sends a request by this connection only; see {@linkcode Peer.request}. */
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

  /** Sends one of the protocol's own notifications; in version 2.0 only. */
  notify(method: string, params: Params): boolean {
    return this.#connection.ended === undefined &&
      tell(this.#core, method, params);
  }

  /**
   * Checks that the version has streams and references.
   *
   * @throws {TypeError} Version 1.0 or bare, which have none.
   */
  check(what: string, kind: Kind): void {
    const version = versionOf(this.#core);
    if (version === "2.0") return;
    throw new TypeError(`Cannot ${what}: JSON-RPC ${version} has no ${kind}`);
  }

  /**
   * Counts one more stream or reference to lend. A result's count at once; those of
   * params count when the request is sent, which waits until there is room.
   *
   * @throws {TypeError} Version 1.0 or bare, which have none.
   * @throws {RpcError} The limit is reached.
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
    if (writing.isOut) this.#lent[kind]++;
  }

  /** Counts one that was released; requests may wait for its place. */
  remove(kind: Kind, writing: Writing): void {
    writing[kind]--;
    if (!writing.isOut) return;
    this.#lent[kind]--;
    if (!this.#isReleasing) advance(this.#core);
    if (kind === "references") return;
    for (const carrier of this.#carriers) carrier.freed?.();
  }

  /**
   * Counts one more that the peer lends. The limit is the same as for lending, and
   * holds for one frame, and for the arguments of all methods that run.
   *
   * @throws {RpcError} The limit is reached; the message is not read.
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

  /** Counts again, since methods don't tell of their end here. */
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
    this.#lent.streams += loan.streams;
    this.#lent.references += loan.references;
  }

  /** Notes a sign of life from the call that something was lent to. */
  renew(loan: Loan): void {
    renew(this.#core, loan);
  }

  /** Notes that this side has answered a question about something it lent. */
  answer(loan: Loan): void {
    answer(this.#core, loan);
  }

  /**
   * The call whose params are being read, if its method has to give signs of life.
   */
  get call(): Lender | undefined {
    return this.limits.handlerTimeout < Infinity
      ? this.#core.current
      : undefined;
  }

  /**
   * Runs the owner's code as a part of a call, so that `peer.call` is that call.
   */
  within<T>(call: Lender | undefined, run: () => T): T {
    return within(this.#core, call, run);
  }

  /** Takes the message that is being read off the count of the peer's rate. */
  giveBack(): void {
    this.#core.bounds?.giveBack();
  }

  /** A hint why a method was not found, for the developer. */
  explain(target: object, method: string): Error | undefined {
    return this.#core.hints?.explain(target, method);
  }

  /** Tells the owner of an error. */
  report(error: unknown): void {
    report(this.#core, error);
  }

  // Most calls have only scalars, which cost one look at each (bench/, "one
  // process").

  /** Begins to write params; `undefined` if all are scalars. */
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

  /** Begins to write a call's result; `undefined` if it is a scalar. */
  startResult(value: unknown, call: Lender): Writing | undefined {
    return isReference(value) ? startWriting(call) : undefined;
  }

  /** Replaces a result, and then writes it. */
  writeResult<T>(
    value: unknown,
    writing: Writing,
    write: (value: unknown) => T,
  ): T {
    const written = this.#write(value, writing);
    return withWriting(writing, () => write(written));
  }

  #write(value: unknown, writing: Writing): unknown {
    if (!isReference(value)) return value;
    for (const carrier of this.#carriers) {
      value = carrier.write(value, writing);
    }
    return value;
  }

  /** Replaces each of a call's params, and then writes them. */
  writeParams<T>(
    params: Params | undefined,
    writing: Writing,
    write: (params: Params | undefined) => T,
  ): T {
    const written = mapMembers(params, (param) => this.#write(param, writing));
    return withWriting(writing, () => write(written));
  }

  /** Ends a writing: releases what was lent for the time of a call. */
  release(writing: Writing | undefined, succeeded = false): void {
    if (writing === undefined) return;
    // Waiting requests go on after this, once the peer has been told.
    this.#isReleasing = true;
    for (const release of writing.releases) release(succeeded);
    this.#isReleasing = false;
    if (writing.call !== undefined) advance(this.#core);
  }

  /** Reads a result. */
  read(value: unknown, text: string): unknown {
    if (!isReference(value)) return value;
    for (const carrier of this.#carriers) value = carrier.read(value, text);
    return value;
  }

  /** Reads each of a call's params, unless the method takes plain data. */
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

  /**
   * Lets the promise of a call be used like its result: be iterated as a stream.
   */
  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void {
    if (this.#made === undefined) this.#make();
    this.#decorator?.decorate?.(promise, options);
  }

  /** Begins the counts anew if this is another frame. */
  #look(): void {
    const { frame } = this.#connection;
    if (this.#frame === frame) return;
    this.#frame = frame;
    this.#has = undefined;
    this.#taken = 0;
  }

  /**
   * Whether the frame has a marker in it. Looked for once in a frame, and only when
   * an object is read, since most messages are small. First for an underscore, which
   * takes a twentieth of the time: most frames have none.
   *
   * @param marker A RegExp rather than a string: once this is compiled, Bun (1.4.5)
   * searches for a string at each call, which took 4 ms for 1,024 objects in 12 kB.
   */
  has(marker: RegExp, text: string): boolean {
    this.#look();
    return this.#has ??= /_/.test(text) && marker.test(text);
  }

  /**
   * Releases the streams and references in a result that nobody waits for any more.
   */
  discard(value: unknown, text: string): void {
    if (!isReference(value)) return;
    for (const carrier of this.#carriers) carrier.discard(value, text);
  }

  /** Finds a method of an object that was lent. */
  find(name: string): Method | undefined {
    for (const carrier of this.#carriers) {
      const method = carrier.find?.(name);
      if (method !== undefined) return method;
    }
    return undefined;
  }

  /** Answers one of the protocol's own methods; `undefined`: it is no carrier's. */
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

  // Made only when needed, because an error has a stack, which costs time.
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

  /** Called when the connection has closed. */
  end(): void {
    for (const carrier of this.#made ?? []) carrier.end();
  }
}

/**
 * Whether the runtime itself calls a member of this name: `await` calls "then",
 * JSON.stringify "toJSON".
 */
export function isCalled(name: string | undefined): boolean {
  return name === "then" || name === "toJSON";
}

/** Whether a value is an object or a function, which a carrier may replace. */
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
    marshaler: undefined,
    link: undefined,
    streams: 0,
    references: 0,
    isOut: call !== undefined,
    pending: undefined,
    asked: 0,
  };
}

/** Replaces each member of params; returns the same object if none was. */
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
      // Copied, because the array is the caller's.
      replaced ??= params.slice();
      replaced[index] = replacement;
    }
    return replaced ?? params;
  }
  // An object with toJSON writes itself.
  if (typeof (params as { toJSON?: unknown }).toJSON === "function") {
    return params;
  }
  let replaced: { [name: string]: unknown } | undefined;
  for (const name of Object.keys(params)) {
    const member = (params as { [name: string]: unknown })[name];
    if (!isReference(member)) continue;
    const replacement = replace(member, name);
    if (replacement === member) continue;
    // Its own, also one that is called "__proto__".
    replaced ??= { ...params };
    replaced[name] = replacement;
  }
  return replaced ?? params;
}
