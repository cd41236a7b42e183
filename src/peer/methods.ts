/**
 * Which functions a peer may call, and how they are found: the own functions of
 * `local`, by name, and those of plain objects in it, by dotted name.
 *
 * @see {@link https://www.jsonrpc.org/specification#request_object}
 *
 * @module
 */

import { invalidParams } from "../wire/codes.ts";
import { RpcError } from "../wire/error.ts";
import type { Params } from "../wire/message.ts";
import type { Loan } from "./pending.ts";

/** A function of `local`. */
export interface Method {
  /** The function. */
  readonly fn: (...params: unknown[]) => unknown;
  /** What it is called on. */
  readonly self: object;
  /** Where it was found. */
  readonly holder: object;
  /** Its name there. */
  readonly key: string;
  /** With what it was lent to the peer; `undefined`: it stands in `local`. */
  readonly loan?: Loan;
}

/**
 * The methods of one `local` object. Nothing that is inherited is ever looked
 * at, no getter runs, and names that start with `rpc.` or `$/` are not the
 * user's to define.
 */
export class Methods {
  /** The object whose functions these are. */
  readonly local: object;

  // A Map, because on a plain object a peer could call "constructor". Only what
  // was found is kept, so it can't outgrow `local`.
  readonly #found = new Map<string, Method>();

  // What all are called on, if not the object that they stand in.
  readonly #self: object | undefined;

  constructor(local: object, self?: object) {
    this.local = local;
    this.#self = self;
  }

  /** Finds a method, or `undefined` if there is none that may be called. */
  find(name: string): Method | undefined {
    const known = this.#found.get(name);
    if (known !== undefined) {
      // The owner may have replaced or deleted it since.
      const { holder, key, fn } = known;
      const isThere = holder === this.local
        ? (holder as { [key: string]: unknown })[key] === fn
        : findIn(this.local, name)?.fn === fn;
      if (isThere) return known;
      this.#found.delete(name);
    }
    const method = findMethod(this.local, name, this.#self);
    if (method !== undefined) this.#found.set(name, method);
    return method;
  }
}

/**
 * How a function's arguments are made out of params by name, where it was
 * declared with the names of its parameters.
 */
export const arrangers: WeakMap<object, (params: object) => unknown[]> =
  new WeakMap();

/** The functions whose arguments stay the data that they are; see {@linkcode plain}. */
export const plains: WeakSet<object> = new WeakSet();

/** The functions behind those that stand before them: `guard`'s. */
export const originals: WeakMap<object, object> = new WeakMap();

/** Whether a function takes plain data. */
export function takesPlain(fn: object): boolean {
  return plains.has(originals.get(fn) ?? fn);
}

// Each has its place on the stack, in every function that passes them on: it has room
// for 120,000 in all (V8).
const mostParams = 16_384;

/**
 * Calls a method with the params of a call: by position they are its arguments,
 * by name they are one, unless it was declared otherwise.
 */
export function invoke(
  { fn, self }: Method,
  params: Params | undefined,
): unknown {
  if (params === undefined) return fn.call(self);
  if (Array.isArray(params)) {
    if (params.length > mostParams) {
      const count = `${params.length} of at most ${mostParams}`;
      throw new RpcError(invalidParams, `Invalid params: there are ${count}`);
    }
    return fn.apply(self, params);
  }
  const arrange = arrangers.get(originals.get(fn) ?? fn);
  return fn.apply(self, arrange?.(params) ?? [params]);
}

/**
 * Finds a method, or `undefined` if there is none that may be called.
 *
 * @param self What it is called on, if not the object that it stands in.
 */
export function findMethod(
  local: object,
  name: string,
  self?: object,
): Method | undefined {
  if (/^(rpc\.|\$\/)/.test(name)) return undefined;
  const found = findIn(local, name);
  return found && { ...found, self: self ?? found.holder };
}

function findIn(
  holder: object,
  name: string,
): Omit<Method, "self"> | undefined {
  const fn = ownValue(holder, name);
  if (typeof fn === "function") {
    return { fn: fn as Method["fn"], holder, key: name };
  }
  for (let dot = -1; (dot = name.indexOf(".", dot + 1)) !== -1;) {
    const group = ownValue(holder, name.slice(0, dot));
    if (isPlainObject(group)) {
      const method = findIn(group, name.slice(dot + 1));
      if (method) return method;
    }
  }
  return undefined;
}

/**
 * The methods of `local`, each once, under the name that finds it. A group that
 * holds itself is not entered again: it would have names without end.
 */
export function* names(
  local: object,
): Generator<[name: string, fn: Method["fn"]]> {
  const methods = new Methods(local);
  for (const { name, holder, key } of candidates(local, "", new Set())) {
    const method = methods.find(name);
    // "a.b" may be a function beside a group "a" that has a "b" too.
    if (method?.holder === holder && method.key === key) {
      yield [name, method.fn];
    }
  }
}

/** The functions in a holder and its groups, and how they could be called. */
function* candidates(
  holder: object,
  prefix: string,
  within: Set<object>,
): Generator<{ name: string; holder: object; key: string }> {
  within.add(holder);
  for (const key of Object.getOwnPropertyNames(holder)) {
    const value = ownValue(holder, key);
    const name = prefix + key;
    if (typeof value === "function") yield { name, holder, key };
    else if (isPlainObject(value) && !within.has(value)) {
      yield* candidates(value, `${name}.`, within);
    }
  }
  within.delete(holder);
}

/** The value of an own data property; `undefined` for a getter. */
export function ownValue(holder: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(holder, key)?.value;
}

// Only what was written as a group of methods is one: a field that happens to
// hold a database connection must not become callable.
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
