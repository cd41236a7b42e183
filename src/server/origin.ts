/**
 * The pages that may connect to a server, and the names that it goes by: defence
 * against what a browser does for a page that it should not trust.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-10.2}
 * @see {@link https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin}
 *
 * @module
 */

import { sayWhat } from "../presets/misuse.ts";

/** The beginning of a request; the whole of it is made for who looks at it. */
export interface RequestHead {
  /** A header's value; null if it is absent. */
  get(name: string): string | null;
  /** Whether it came over TLS. */
  readonly isSecure: boolean;
  /** The whole of it. */
  readonly request: Request;
}

/**
 * The origins whose pages may connect: a list of them, each as a browser writes
 * it (`https://example.com`, no slash, the port only where it isn't the scheme's
 * own); a function that decides, now or later; or `"*"`, any page whatever. A
 * slash at the end, as some programs have one there, is left out on both sides.
 *
 * A function is given what stands in the header `Origin`, `"null"` for a page
 * without one. Compare it whole: `https://example.com.evil.net` starts as yours
 * does, and `https://evilexample.com` ends so.
 */
export type Origins =
  | "*"
  | readonly string[]
  | ((
    this: void,
    origin: string,
    request: Request,
  ) => boolean | Promise<boolean>);

// One origin as the standard serializes it. Two headers arrive as one, joined by
// a comma, and a function that looks at its end alone would see the second.
const serialized = /^[a-z][a-z0-9+.-]*:\/\/[^\s,/?#@\\]+$/;

/** A host and perhaps a port; a URL would also take a user, a path, a query. */
export const authority: RegExp = /^[^\s,/?#@\\]+$/;

/**
 * Looks at a list of origins before anybody connects.
 *
 * @throws {TypeError} One of them would never match.
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
 * Whether the page that asks may connect. A request without the header `Origin`
 * comes from no page, and may.
 *
 * Without `origins`, the page must come from the host and port that it asks, by
 * the header `Host`. Whether by `http:` or `https:` is looked at only where the
 * request came over TLS: behind a proxy that ends TLS it can't be known.
 *
 * @returns A promise only if a function of the owner's gave one.
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

/** An origin without the slash that Go's x/net writes behind it. */
function withoutSlash(origin: string): string {
  return origin.endsWith("/") ? origin.slice(0, -1) : origin;
}

/** Whether a string is one origin, as a browser writes it. */
function isOrigin(origin: string): boolean {
  if (origin === "null") return true;
  if (!serialized.test(origin) || !URL.canParse(origin)) return false;
  const { origin: standard } = new URL(origin);
  // Of schemes that it doesn't know, an extension's, it says "null".
  return standard === "null" || standard === origin;
}

function isSameOrigin(head: RequestHead, origin: string): boolean {
  if (!/^https?:/.test(origin)) return false;
  const { protocol, host } = new URL(origin);
  return !(head.isSecure && protocol === "http:") &&
    readHost(head, protocol)?.host === host;
}

/**
 * The host and port that a request asks for, by its header `Host`.
 *
 * @param protocol Whose own port goes without saying: `"https:"`.
 * @returns `undefined` if it is missing or is none.
 */
function readHost(head: RequestHead, protocol: string): URL | undefined {
  const host = head.get("host");
  if (host === null || !authority.test(host)) return undefined;
  const url = `${protocol}//${host}`;
  return URL.canParse(url) ? new URL(url) : undefined;
}

/**
 * The names that a server goes by in the header `Host`, without ports: a list of
 * them, `"*"` for any, `"loopback"` for those that always mean this machine:
 * `localhost`, those that end in `.localhost`, 127.0.0.0/8, `[::1]`.
 */
export type Hosts = "*" | "loopback" | readonly string[];

/**
 * Looks at a list of hosts before anybody connects.
 *
 * @throws {TypeError} One of them would never match.
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
 * Whether a request asks for a server by one of its names, whatever the port.
 *
 * A page whose own name suddenly means 127.0.0.1 is of the same origin as what
 * listens there, but the header `Host` still has its name (DNS rebinding).
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

/** Whether an address is of this machine or of a network of one's own: a proxy's. */
export function isPrivate(address: string): boolean {
  const ip = address.toLowerCase().replace(/^::ffff:/, "");
  return /^(|127\..*|10\..*|192\.168\..*|172\.(1[6-9]|2\d|3[01])\..*|169\.254\..*|::1|f[cd].*|fe[89ab].*)$/
    .test(ip);
}

/** A host name as URLs write it; `undefined` if it is none. */
function normalize(hostname: string): string | undefined {
  const host = /^[^[]*:.*:/.test(hostname) ? `[${hostname}]` : hostname;
  if (!authority.test(host) || !URL.canParse(`http://${host}`)) {
    return undefined;
  }
  const url = new URL(`http://${host}`);
  return /:\d*$/.test(host) && !host.endsWith("]") ? undefined : url.hostname;
}
