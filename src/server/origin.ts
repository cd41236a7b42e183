/**
 * The headers `Origin` and `Host` of a handshake: which pages may connect, and by
 * which names of the server. A browser lets every page connect anywhere, with the
 * user's cookies, so the server has to look.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-10.2}
 * @see {@link https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin}
 *
 * @module
 */

import { sayWhat } from "../presets/misuse.ts";

/** The head of a request. `request` may be made only when it is read. */
export interface RequestHead {
  /** A header's value; null if absent. */
  get(name: string): string | null;
  /** Whether the request came over TLS. */
  readonly isSecure: boolean;
  /** The whole request. */
  readonly request: Request;
}

/**
 * The origins whose pages may connect: a list, each origin as a browser writes it
 * (`https://example.com`: no path, the port only if it isn't the scheme's default);
 * a function that decides, or returns a promise; or `"*"`, any page. A slash at the
 * end, which some programs write, is ignored on both sides.
 *
 * A function is given the header `Origin`, which is `"null"` for a page without an
 * origin. Compare the whole of it: `https://example.com.evil.net` starts like
 * yours, and `https://evilexample.com` ends like yours.
 */
export type Origins =
  | "*"
  | readonly string[]
  | ((
    this: void,
    origin: string,
    request: Request,
  ) => boolean | Promise<boolean>);

// One origin as the standard serializes it. Two headers would arrive as one, joined
// by a comma, and a function that looks at the end would see only the second.
const serialized = /^[a-z][a-z0-9+.-]*:\/\/[^\s,/?#@\\]+$/;

/**
 * A host and an optional port, and nothing else that a URL may have: no user, no
 * path, no query.
 */
export const authority: RegExp = /^[^\s,/?#@\\]+$/;

/**
 * Checks a list of origins when the server is made.
 *
 * @throws {TypeError} One of them could never match.
 */
export function checkOrigins(origins: Origins | undefined): void {
  if (origins === undefined || origins === "*") return;
  if (typeof origins === "function") return;
  if (!Array.isArray(origins)) {
    throw new TypeError(
      `Cannot allow origins ${
        sayWhat(origins)
      }: give a list, a function, or "*"`,
    );
  }
  for (const origin of origins as readonly string[]) {
    const why = typeof origin !== "string"
      ? "a list has strings, give a function that decides"
      : origin.includes("*")
      ? "a list has whole origins, give a function that knows the pattern"
      : !isOrigin(withoutSlash(origin)) || origin === "null"
      ? 'write it as a browser does, "https://example.com"'
      : undefined;
    if (why === undefined) continue;
    throw new TypeError(`Cannot allow origin ${sayWhat(origin)}: ${why}`);
  }
}

/**
 * Whether a page may connect. A request without the header `Origin` doesn't come
 * from a page, and may.
 *
 * Without `origins`, the page must come from the host and port in the header
 * `Host`. The scheme is compared only if the request came over TLS, because behind
 * a proxy that ends TLS it isn't known.
 *
 * @returns A promise only if the function `origins` returned one.
 */
export function admitsOrigin(
  head: RequestHead,
  origins: Origins | undefined,
): boolean | Promise<boolean> {
  const asked = head.get("origin");
  if (asked === null || origins === "*") return true;
  const origin = withoutSlash(asked);
  if (!isOrigin(origin)) return false;
  if (origins === undefined) return isSameOrigin(head, origin);
  return typeof origins === "function"
    ? origins(origin, head.request)
    : origins.some((each) => withoutSlash(each) === origin);
}

/** An origin without the slash that Go's x/net appends. */
function withoutSlash(origin: string): string {
  return origin.endsWith("/") ? origin.slice(0, -1) : origin;
}

/** Whether a string is a single origin, as a browser writes it. */
function isOrigin(origin: string): boolean {
  if (origin === "null") return true;
  if (!serialized.test(origin) || !URL.canParse(origin)) return false;
  const { origin: standard } = new URL(origin);
  // URL says "null" for schemes that it doesn't know, such as a browser
  // extension's.
  return standard === "null" || standard === origin;
}

function isSameOrigin(head: RequestHead, origin: string): boolean {
  if (!/^https?:/.test(origin)) return false;
  const { protocol, host } = new URL(origin);
  return !(head.isSecure && protocol === "http:") &&
    readHost(head, protocol)?.host === host;
}

/**
 * The host and port in the header `Host`.
 *
 * @param protocol The scheme whose default port may be left out: `"https:"`.
 * @returns `undefined` if the header is missing or invalid.
 */
function readHost(head: RequestHead, protocol: string): URL | undefined {
  const host = head.get("host");
  if (host === null || !authority.test(host)) return undefined;
  const url = `${protocol}//${host}`;
  return URL.canParse(url) ? new URL(url) : undefined;
}

/**
 * The names that the header `Host` may have, without ports: a list, `"*"` for any
 * name, or `"loopback"` for names that always mean this machine: `localhost`, names
 * that end in `.localhost`, 127.0.0.0/8, `[::1]`.
 */
export type Hosts = "*" | "loopback" | readonly string[];

/**
 * Checks a list of hosts when the server is made.
 *
 * @throws {TypeError} One of them could never match.
 */
export function checkHosts(hosts: Hosts | undefined): void {
  if (hosts === undefined || hosts === "*" || hosts === "loopback") return;
  if (!Array.isArray(hosts)) {
    throw new TypeError(
      `Cannot go by hosts ${sayWhat(hosts)}: give a list, "loopback", or "*"`,
    );
  }
  for (const host of hosts as readonly string[]) {
    if (typeof host !== "string" || normalize(host) === undefined) {
      throw new TypeError(
        `Cannot go by host ${
          sayWhat(host)
        }: write a name or an address alone, "example.com"`,
      );
    }
  }
}

/**
 * Whether the header `Host` has one of the server's names, with any port.
 *
 * DNS rebinding: an attacker lets the name of his page resolve to 127.0.0.1. To the
 * browser the page then has the same origin as a server there, but the header
 * `Host` still has the attacker's name.
 */
export function admitsHost(head: RequestHead, hosts: Hosts): boolean {
  if (hosts === "*") {
    const host = head.get("host");
    return host === null || authority.test(host);
  }
  const name = readHost(head, "http:")?.hostname;
  if (name === undefined) return false;
  return hosts === "loopback"
    ? isLoopback(name)
    : hosts.some((host) => normalize(host) === name);
}

/** Whether a host name or an address always means this machine. */
export function isLoopback(hostname: string): boolean {
  const name = normalize(hostname);
  return name !== undefined &&
    /^((.+\.)?localhost\.?|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:7f..:.*\])$/
      .test(name);
}

/**
 * Whether an address is a loopback, private or link-local one: it may be a proxy's.
 */
export function isPrivate(address: string): boolean {
  const ip = address.toLowerCase().replace(/^::ffff:/, "");
  return /^(|127\..*|10\..*|192\.168\..*|172\.(1[6-9]|2\d|3[01])\..*|169\.254\..*|::1|f[cd].*|fe[89ab].*)$/
    .test(ip);
}

/** A host name as URLs write it; `undefined` if it is invalid or has a port. */
function normalize(hostname: string): string | undefined {
  const host = /^[^[]*:.*:/.test(hostname) ? `[${hostname}]` : hostname;
  if (!authority.test(host) || !URL.canParse(`http://${host}`)) {
    return undefined;
  }
  const url = new URL(`http://${host}`);
  return /:\d*$/.test(host) && !host.endsWith("]") ? undefined : url.hostname;
}
