/**
 * Misuse that TypeScript would refuse, checked for JavaScript: an error when a
 * server or a client is made, rather than a failure later and elsewhere.
 *
 * @module
 */

import { hooks } from "../peer/base.ts";
import { Peer } from "./everything.ts";

/** Names of the options of every peer that must be functions. */
const functionNames: readonly string[] = [...hooks, "discover", "createSocket"];

/** Options that are not checked yet. */
type Unread = { readonly [name: string]: unknown };

/**
 * Refuses a service that no peer can be made of.
 *
 * @param service A class or a definition.
 * @param settings The settings of a class; unused with a definition.
 * @param what The verb for the error: `"serve"`.
 * @param needed The method that a suitable class has.
 * @throws {TypeError} It is an instance, which has a connection already; another
 * class; or something else.
 */
export function checkService(
  service: unknown,
  settings: unknown,
  what: string,
  needed: "finish" | "close",
): void {
  if (service instanceof Peer) {
    const { name } = service.constructor;
    throw new TypeError(
      `Cannot ${what} an instance of ${name}: it has its connection, give the class ${name} or a definition`,
    );
  }
  if (typeof service === "function") checkClass(service, what, needed);
  else if (!isObject(service)) {
    throw new TypeError(`Cannot ${what} ${sayWhat(service)}: ${give}`);
  } else if (typeof settings === "function") {
    throw new TypeError(
      `Cannot ${what} a definition with ${
        sayWhat(settings)
      }: the class goes first, its settings behind it`,
    );
  }
  if (!isObject(settings)) {
    throw new TypeError(
      `Cannot ${what} with settings that are ${
        sayWhat(settings)
      }: give an object`,
    );
  }
}

const give =
  "give a class that extends Peer, or a definition, { local: { hello: () => 1 } }";

function checkClass(service: object, what: string, needed: string): void {
  // By its members, because it may be of another copy of the library.
  const { prototype } = service as { prototype?: Unread };
  if (typeof prototype?.[needed] === "function") return;
  const why = isPeerClass(service)
    ? "a server needs more than the small one has, extend Peer of @jsonrpcws/peer"
    : give;
  throw new TypeError(`Cannot ${what} ${sayWhat(service)}: ${why}`);
}

/** Whether a value is a class of peers, of this copy of the library or another. */
export function isPeerClass(value: unknown): value is { name: string } {
  return typeof value === "function" &&
    typeof value.prototype?.request === "function";
}

/**
 * Refuses options of the wrong type.
 *
 * @param functions Names of further options that must be functions.
 * @throws {TypeError} An option is of the wrong type.
 */
export function checkOptions(
  options: object,
  functions: readonly string[] = [],
): void {
  const read = options as Unread;
  const check = (name: string): void =>
    checkOption(name, read[name], "function", "a function");
  functionNames.forEach(check);
  functions.forEach(check);
  checkOption("local", read.local, "object", "an object of functions");
  checkOption("limits", read.limits, "object", "an object");
}

function checkOption(
  name: string,
  value: unknown,
  type: "function" | "object",
  what: string,
): void {
  if (value === undefined || (value !== null && typeof value === type)) return;
  throw new TypeError(
    `Cannot set ${name}: it must be ${what}, got ${sayWhat(value)}`,
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/**
 * Describes a value for an error: a string or a scalar by its value, anything else
 * by its kind.
 */
export function sayWhat(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(
        value.length > 80 ? `${value.slice(0, 80)}…` : value,
      );
    case "function":
      return value.name === ""
        ? "a function"
        : `${/^class\b/.test(`${value}`) ? "class" : "function"} ${value.name}`;
    case "object":
      return value === null
        ? "null"
        : Array.isArray(value)
        ? "an array"
        : "an object";
    default:
      return String(value);
  }
}
