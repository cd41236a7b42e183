/**
 * The methods of a `local`: its own functions, by name, and those of plain objects
 * in it, by dotted name.
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
  /** The `this` of the call. */
  readonly self: object;
  /** The object that has it as a member. */
  readonly holder: object;
  /** Its key in that object. */
  readonly key: string;
  /** The loan of a lent function or object; `undefined`: it is in `local`. */
  readonly loan?: Loan;
}

/**
 * The methods of one `local` object. Inherited members are never found, getters
 * never run, and names that start with `rpc.` or `$/` are reserved.
 */
export class Methods {
  /** The object whose functions these are. */
  readonly local: object;

  // A Map, because on a plain object a peer could call "constructor". Only names
  // that were found are kept, so it can't outgrow `local`.
  #found: Map<string, Method> | undefined;

  /** The first method that was found, if its name has no dot: no Map for it alone. */
  #first: Method | undefined;

  // The `this` of all methods; `undefined`: the object that has each.
  readonly #self: object | undefined;

  constructor(local: object, self?: object) {
    this.local = local;
    this.#self = self;
  }

  /** Finds a method; `undefined`: there is none. */
  find(name: string): Method | undefined {
    const first = this.#first;
    const isFirst = first?.key === name;
    const known = isFirst ? first : this.#found?.get(name);
    if (known !== undefined) {
      // The owner may have replaced or deleted it since.
      const { holder, key, fn } = known;
      const isThere = holder === this.local
        ? (holder as { [key: string]: unknown })[key] === fn
        : findIn(this.local, name)?.fn === fn;
      if (isThere) return known;
      if (isFirst) this.#first = undefined;
      else this.#found!.delete(name);
    }
    const method = findMethod(this.local, name, this.#self);
    if (method === undefined) return undefined;
    if (this.#first === undefined && method.holder === this.local) {
      this.#first = method;
    } else (this.#found ??= new Map()).set(name, method);
    return method;
  }
}

/**
 * For functions that were declared with names of their parameters: makes arguments
 * of params by name.
 */
export const arrangers: WeakMap<object, (params: object) => unknown[]> =
  new WeakMap();

/** The functions that take plain data; see {@linkcode plain}. */
export const plains: WeakSet<object> = new WeakSet();

/** The function behind each wrapper of `guard`. */
export const originals: WeakMap<object, object> = new WeakMap();

/** Whether a function takes plain data. */
export function takesPlain(fn: object): boolean {
  return plains.has(originals.get(fn) ?? fn);
}

// Most arguments: each takes a place on the stack in every function that passes it
// on, and V8 has room for 120,000 in all.
const mostParams = 16_384;

/**
 * Calls a method. Params by position are its arguments; params by name are one
 * argument, unless it was declared with names.
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
 * Finds a method; `undefined`: there is none.
 *
 * @param self The `this` of the call; `undefined`: the object that has the method.
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
 * The methods of `local`, each once, with the name that finds it. A group that
 * contains itself is not entered again, since it would have names without end.
 */
export function* names(
  local: object,
): Generator<[name: string, fn: Method["fn"]]> {
  const methods = new Methods(local);
  for (const { name, holder, key } of candidates(local, "", new Set())) {
    const method = methods.find(name);
    // A function "a.b" may stand beside a group "a" with a "b".
    if (method?.holder === holder && method.key === key) {
      yield [name, method.fn];
    }
  }
}

/** The functions of an object and its groups, with their dotted names. */
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

// Only a plain object is a group: a member that happens to hold a database
// connection must not become callable.
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
