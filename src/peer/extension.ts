/**
 * How a peer learns to carry what JSON can't say: streams, functions. Each such
 * capability is a module of its own, and only who uses it pays for it.
 *
 * @module
 */

import type { CallOptions } from "./call.ts";
import { Deferred } from "./deferred.ts";
import type { Limits } from "../wire/limits.ts";
import type { Params, Version } from "../wire/message.ts";
import type { Method } from "../methods/methods.ts";

/** A call whose result is being written, and which may be over before it is read. */
export interface Lender {
  /** Aborts the call's signal. */
  abort(reason: unknown): void;
}

/** A question to a capability, which its asker may give up. */
export interface Asked {
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What a peer lends to its capabilities. */
export interface Link {
  /** The limits of the connection. */
  readonly limits: Limits;
  /** Sends a request; see {@linkcode Peer.request}. */
  request(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<unknown>;
  /** Sends one of the protocol's own notifications, in version 2.0 alone. */
  notify(method: string, params: Params): boolean;
  /** The version that the peer speaks. */
  version(): Version;
  /** Runs something of the owner's as part of a call, so that `call` is it. */
  within<T>(call: Lender | undefined, run: () => T): T;
  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void;
}

/**
 * What is being written: the params of a request, or a result. What is kept for
 * the peer on its behalf is let go of when it fails, and, for params, when the
 * request is settled.
 */
export interface Writing {
  /** The call whose result it is; `undefined` for params. */
  readonly call: Lender | undefined;
  /**
   * How to let go of what was kept, each: told whether what was written reached
   * a peer that took it.
   */
  readonly releases: ((succeeded: boolean) => void)[];
  /** Writes what is marked, wherever it stands. */
  marshal: ((marked: object) => unknown) | undefined;
  /** For whom it is written. */
  link: Link | undefined;
}

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

/** One capability of one peer. */
export interface Capability {
  /** Replaces an argument or a result that JSON can't say; else returns it. */
  write(value: unknown, writing: Writing): unknown;
  /** Replaces an argument or a result that the other side wrote so. */
  read(value: unknown): unknown;
  /** Looks at a frame before it is read. */
  look?(text: string): void;
  /** Lets go of what a result carries that nobody waits for any more. */
  discard(value: unknown): void;
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
    call: Asked,
  ): unknown;
  /** The connection closed. */
  end(): void;
}

/** Gives a peer a capability; listed in the option `use`. */
export interface Extension {
  /** Makes the capability for one connection. */
  readonly attach: (link: Link) => Capability;
  /** See {@linkcode joinExtensions}, which knows the types. */
  readonly join: (
    extensions: readonly Extension[],
    carrier: never,
  ) => object;
}

/** Makes an extension out of what makes its capability. */
export function extension(attach: Extension["attach"]): Extension {
  return {
    attach,
    join: (extensions, carrier) => new Capabilities(extensions, carrier),
  };
}

/**
 * Makes the capabilities of one connection, if there are any. How to comes with
 * each of them, so that a program without any doesn't have it.
 */
export function joinExtensions(
  extensions: readonly Extension[],
  carrier: Carrier,
): Capabilities | undefined {
  return extensions[0]?.join(extensions, carrier as never) as
    | Capabilities
    | undefined;
}

/** What capabilities need of a peer. */
export interface Carrier {
  readonly limits: Limits;
  readonly version: Version;
  /** Whether the socket is about to say that its connection is lost. */
  isLosing(): boolean;
  readonly incoming: { within: Link["within"] };
  request: Link["request"];
  tell: Link["notify"];
  report: Link["report"];
}

/**
 * The capabilities of one connection of a peer, and the connection as they see it:
 * what it carries knows nothing of the next one's tokens.
 */
export class Capabilities implements Link {
  readonly limits: Limits;
  readonly #carrier: Carrier;
  readonly #all: readonly Capability[];
  /** Why nothing can be asked for any more; told when somebody does. */
  #reason: (() => Error) | undefined;
  /** Rejects once it is known why. */
  #ending: Deferred<never> | undefined;

  constructor(extensions: readonly Extension[], carrier: Carrier) {
    this.limits = carrier.limits;
    this.#carrier = carrier;
    this.#all = extensions.map(({ attach }) => attach(this));
  }

  request(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<unknown> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason());
    if (!this.#carrier.isLosing()) {
      return this.#carrier.request(method, params, options);
    }
    return (this.#ending ??= new Deferred<never>()).promise;
  }

  notify(method: string, params: Params): boolean {
    return this.#reason === undefined && this.#carrier.tell(method, params);
  }

  version(): Version {
    return this.#carrier.version;
  }

  within<T>(call: Lender | undefined, run: () => T): T {
    return this.#carrier.incoming.within(call, run);
  }

  report(error: unknown): void {
    this.#carrier.report(error);
  }

  // Most calls carry nothing but scalars, and pay for a look at each alone
  // (bench/, "one process").

  /** Begins to write params; `undefined` if they hold nothing to look at. */
  startParams(params: Params | undefined): Writing | undefined {
    return mayHoldReference(params) ? startWriting(undefined) : undefined;
  }

  /** Begins to write a call's result; `undefined` if there is nothing to look at. */
  startResult(value: unknown, call: Lender): Writing | undefined {
    return isReference(value) ? startWriting(call) : undefined;
  }

  /** Writes a result as JSON; `undefined` where JSON has no word for it. */
  writeResult(value: unknown, writing: Writing): string | undefined {
    const written = this.#write(value, writing);
    return written instanceof JsonText
      ? written.text
      : withWriting(writing, () => JSON.stringify(written));
  }

  #write(value: unknown, writing: Writing): unknown {
    if (!isReference(value)) return value;
    for (const capability of this.#all) {
      value = capability.write(value, writing);
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
    for (const release of writing?.releases ?? []) release(succeeded);
  }

  /** Reads a result. */
  read(value: unknown): unknown {
    if (!isReference(value)) return value;
    for (const capability of this.#all) value = capability.read(value);
    return value;
  }

  /** Reads each of a call's params. */
  readParams(params: Params | undefined): Params | undefined {
    return mayHoldReference(params)
      // By that name it would be called by whoever awaits the params.
      ? mapMembers(
        params,
        (param, name) => name === "then" ? param : this.read(param),
      )
      : params;
  }

  /** Lets the promise of a call be used as what it will be. */
  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void {
    for (const capability of this.#all) capability.decorate?.(promise, options);
  }

  /** Looks at a frame before it is read. */
  look(text: string): void {
    for (const capability of this.#all) capability.look?.(text);
  }

  /** Lets go of what a result carries that nobody waits for any more. */
  discard(value: unknown): void {
    if (!isReference(value)) return;
    for (const capability of this.#all) capability.discard(value);
  }

  /** Finds a method that is not the owner's. */
  find(name: string): Method | undefined {
    for (const capability of this.#all) {
      const method = capability.find?.(name);
      if (method !== undefined) return method;
    }
    return undefined;
  }

  /** Answers one of the protocol's own methods; `undefined`: none of these. */
  control(
    method: string,
    params: Params | undefined,
    call: Asked,
  ): unknown {
    for (const capability of this.#all) {
      const result = capability.control(method, params, call);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  /** Lets nothing more be asked for. */
  cut(reason: () => Error): void {
    this.#reason = reason;
    this.#ending?.reject(reason());
  }

  /** The connection closed. */
  end(): void {
    for (const capability of this.#all) capability.end();
  }
}

/** Whether a value is one that a capability might write or read. */
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
  return { call, releases: [], marshal: undefined, link: undefined };
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

/** A result that is JSON text already. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}
