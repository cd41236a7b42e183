/**
 * The remote: an object whose methods are requests to the other side.
 *
 * @module
 */

import type { UntypedRemote } from "./contract.ts";

/** Sends a request; called by each method of a remote. */
export type SendRequest = (
  method: string,
  params: readonly unknown[] | undefined,
) => Promise<unknown>;

/**
 * Makes a remote.
 *
 * Names that every function has (`apply`, `name`, `toString`) are a function's
 * here, too, and names that the language or tools look up in any value (`then`,
 * `$$typeof`) are `undefined`. Methods of these names can be called by `request`.
 */
export function createRemote(request: SendRequest): UntypedRemote {
  return fill({}, request, "", ofRemotes);
}

/**
 * Makes a method, which has further methods as its members.
 *
 * @param name Its full name.
 * @param prefix The beginning of its members' names.
 * @param prototype What it inherits from, which inherits from {@linkcode ofMethods}.
 * @param owner What {@linkcode ownerOf} tells of it, but not of its members.
 */
export function createMethod(
  request: SendRequest,
  name: string,
  prefix: string,
  prototype: object = ofMethods,
  owner?: object,
): UntypedRemote {
  // A function takes its name from its key, which costs less than setting it.
  const { [name]: method } = {
    [name]: (...params: unknown[]): Promise<unknown> => {
      // A trailing undefined would arrive as null, and a default value would not be
      // used.
      while (params.length > 0 && params.at(-1) === undefined) params.pop();
      return request(name, params.length > 0 ? params : undefined);
    },
  };
  return fill(method!, request, prefix, prototype, owner);
}

/** What a method was created with. */
export function ownerOf(method: object): object | undefined {
  return (method as { readonly [inside]?: Inside })[inside]?.owner;
}

/** The key of a remote's or a method's own data. */
const inside = Symbol();

/** The data of a remote or a method, of which its members are made. */
interface Inside {
  readonly request: SendRequest;
  readonly prefix: string;
  readonly owner: object | undefined;
  /** How many more members may be kept. */
  room: number;
}

// Most members that are kept, since names may be computed at run time.
const mostKept = 1_024;

/** Makes a remote of an object, or gives a function members. */
function fill(
  remote: object | ((...params: unknown[]) => Promise<unknown>),
  request: SendRequest,
  prefix: string,
  prototype: object,
  owner?: object,
): UntypedRemote {
  const its: Inside = { prefix, room: mostKept, request, owner };
  const isMethod = typeof remote === "function";
  // Hidden from logs and comparisons. On a function it is simply set, which takes a
  // third of the time, since members of functions aren't shown.
  if (isMethod) (remote as { [inside]?: Inside })[inside] = its;
  else Object.defineProperty(remote, inside, { value: its });
  // Last, because afterwards nothing can be set.
  return Object.setPrototypeOf(remote, prototype);
}

// A method that was found becomes the remote's own property, so calling it again
// costs no more than any function (bench/, "one process"). All others are looked up
// in this proxy, which is in the prototype of all remotes, and of all methods: a
// proxy for each would be a part of a connection's memory (bench/, "2,000 idle").
const finder: ProxyHandler<object> = {
  // The receiver may be a proxy of a remote, or inherit from one.
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

// Names that the language, test matchers, loggers and reactive frameworks look up
// in any value, and call if they are there.
const probe =
  /^(__v_|@@|\$\$|(then|toJSON|prototype|asymmetricMatch|inspect|nodeType|tagName|hasAttribute|jasmineToString|_isMockFunction|_\$litType\$|__esModule)$)/;

/** Whether a key may be the name of a method. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && !probe.test(key) &&
    !(key in Function.prototype);
}

/**
 * The text of a remote, for logs: without it, a runtime would call methods of the
 * other side.
 */
function show(this: { readonly [inside]?: Inside }): string {
  const name = this[inside]?.prefix.slice(0, -1);
  return name ? `[remote ${name}]` : "[remote]";
}

/**
 * The prototype of all remotes; not plain, so that tools neither compare nor wrap
 * them.
 */
const ofRemotes: object = /* @__PURE__ */ createFound({}, {
  constructor: { value: undefined },
  [Symbol.toStringTag]: { value: "Remote" },
});

/** The prototype of all methods of remotes, which are functions. */
export const ofMethods: object = /* @__PURE__ */ createFound(
  Function.prototype,
);

/** Makes such a prototype; in a function, so that a bundler can leave it out. */
function createFound(base: object, more?: PropertyDescriptorMap): object {
  return Object.create(new Proxy(Object.create(base), finder), {
    ...more,
    [Symbol.toPrimitive]: { value: show },
    // See https://nodejs.org/api/util.html#utilinspectcustom
    [Symbol.for("nodejs.util.inspect.custom")]: { value: show },
  });
}
