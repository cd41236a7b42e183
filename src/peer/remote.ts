/**
 * The other side as an object: a method of `remote` is a request to the peer.
 *
 * @module
 */

import type { UntypedRemote } from "./contract.ts";

/** Sends a request; what a remote does when a method of it is called. */
export type SendRequest = (
  method: string,
  params: readonly unknown[] | undefined,
) => Promise<unknown>;

/**
 * Makes the remote whose methods are requests.
 *
 * What every function has (`apply`, `name`, `toString`) is a function's here, too,
 * and what the language or a tool asks any value for (`then`, `$$typeof`) is
 * `undefined`: methods of these names are within reach of `request` alone.
 */
export function createRemote(request: SendRequest): UntypedRemote {
  return fill({}, request, "");
}

/**
 * Makes a method, in which there are others.
 *
 * @param name What it is called by.
 * @param prefix What the names in it begin with.
 */
export function createMethod(
  request: SendRequest,
  name: string,
  prefix: string,
): UntypedRemote {
  // Its key is its name: that costs less than to set it.
  const { [name]: method } = {
    [name]: (...params: unknown[]): Promise<unknown> => {
      // A trailing undefined would arrive as null and defeat a default value.
      while (params.length > 0 && params.at(-1) === undefined) params.pop();
      return request(name, params.length > 0 ? params : undefined);
    },
  };
  return fill(method!, request, prefix);
}

/** Under what a remote keeps what its methods are made of. */
const inside = Symbol();

/** What the methods in a remote are made of, or those in a method. */
interface Inside {
  readonly request: SendRequest;
  readonly prefix: string;
  /** How many more may be kept. */
  room: number;
}

// Names computed at run time should not pile up.
const mostKept = 1_024;

/** Makes an object a remote, or a method one in which there are others. */
function fill(
  remote: object | ((...params: unknown[]) => Promise<unknown>),
  request: SendRequest,
  prefix: string,
): UntypedRemote {
  const its: Inside = { prefix, room: mostKept, request };
  const isMethod = typeof remote === "function";
  // Not to be printed or compared. Nobody does that to what a function holds, and
  // to set it costs a third.
  if (isMethod) (remote as { [inside]?: Inside })[inside] = its;
  else Object.defineProperty(remote, inside, { value: its });
  // Last, because from then on nothing more can be set.
  return Object.setPrototypeOf(remote, isMethod ? ofMethods : ofRemotes);
}

// What is found becomes the remote's own, so that to call a method again costs no
// more than to call any (bench/, "one process"). What is not is looked for here, in
// one prototype of all remotes, and one of all methods: one each would be a part of
// what a connection costs (bench/, "2,000 idle").
const finder: ProxyHandler<object> = {
  // Who asks may be a proxy of a remote, or inherit from it.
  get(target, key, asking: { readonly [inside]?: Inside }) {
    if (!isName(key)) return Reflect.get(target, key, asking);
    const its = asking[inside];
    if (!its) return undefined;
    const name = its.prefix + key;
    const value = createMethod(its.request, name, name + ".");
    if (its.room-- > 0) {
      Reflect.defineProperty(asking, key, { configurable: true, value });
    }
    return value;
  },
  has: (target, key) => isName(key) || Reflect.has(target, key),
  set: () => false,
};

// Names that are looked up in whatever comes along, and called if they are there:
// by the language, matchers, printers, and what makes values reactive.
const probe =
  /^(__v_|@@|\$\$|(then|toJSON|prototype|asymmetricMatch|inspect|nodeType|tagName|hasAttribute|jasmineToString|_isMockFunction|_\$litType\$|__esModule)$)/;

/** Whether it may be the name of a method. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && !probe.test(key) &&
    !(key in Function.prototype);
}

/** A remote in a text, or logged: else a runtime would call methods of its. */
function show(this: { readonly [inside]?: Inside }): string {
  const name = this[inside]?.prefix.slice(0, -1);
  return name ? `[remote ${name}]` : "[remote]";
}

/** What all remotes inherit from. Who compares or wraps plain objects passes them by. */
const ofRemotes: object = /* @__PURE__ */ createFound({}, {
  constructor: { value: undefined },
  [Symbol.toStringTag]: { value: "Remote" },
});

/** What all methods of remotes inherit from: they are functions. */
const ofMethods: object = /* @__PURE__ */ createFound(Function.prototype);

/** A function, so that a bundler can leave it out. */
function createFound(base: object, more?: PropertyDescriptorMap): object {
  return Object.create(new Proxy(Object.create(base), finder), {
    ...more,
    [Symbol.toPrimitive]: { value: show },
    // See https://nodejs.org/api/util.html#utilinspectcustom
    [Symbol.for("nodejs.util.inspect.custom")]: { value: show },
  });
}
