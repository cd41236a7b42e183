/**
 * What the types refuse, for who has none: told when a server or a client is made,
 * rather than by what fails later and elsewhere.
 *
 * @module
 */

import { hooks } from "../peer/base.ts";
import { Peer } from "./everything.ts";

/** The options that are functions, of whatever makes peers. */
const functionNames: readonly string[] = [...hooks, "discover", "createSocket"];

/** Options of which nothing is known yet. */
type Unread = { readonly [name: string]: unknown };

/**
 * Refuses what no peer can be made of.
 *
 * @param service A class or a definition.
 * @param settings Those of a class.
 * @param what What is done with it, for the error: `"serve"`.
 * @param needed The method that tells a class that will do.
 * @throws {TypeError} It is an instance, whose connection is another one; a class of
 * something else; or nothing of the kind.
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
  // By what it has: another copy of the library makes peers, too.
  const { prototype } = service as { prototype?: Unread };
  if (typeof prototype?.[needed] === "function") return;
  const why = isPeerClass(service)
    ? "a server needs more than the small one has, extend Peer of @jsonrpcws/peer"
    : give;
  throw new TypeError(`Cannot ${what} ${sayWhat(service)}: ${why}`);
}

/** Whether it is the class of a peer, this library's or another copy's. */
export function isPeerClass(value: unknown): value is { name: string } {
  return typeof value === "function" &&
    typeof value.prototype?.request === "function";
}

/**
 * Refuses options that are not what they must be.
 *
 * @param functions The names of those that are functions, beside the hooks.
 * @throws {TypeError} One is something else.
 */
export function checkOptions(
  options: object,
  functions: readonly string[] = [],
): void {
  const read = options as Unread;
  for (const name of [...functionNames, ...functions]) {
    checkOption(name, read[name], "function", "a function");
  }
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

/** What a value is, in an error: a short one itself. */
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
