/**
 * The servers, Deno's, Node's and Bun's, for tests of what is the same on each: those
 * that the runtime at hand can run. Node and Bun run them as `suite.ts`.
 *
 * @module
 */

import * as deno from "../server.ts";
import type {
  AcceptDefinition,
  AcceptSettings,
  ClassSettings,
  ListeningServer,
  ServicePeer,
} from "../server.ts";
import * as bun from "../bun.ts";
import * as node from "../node.ts";
import { upgrade } from "../workers.ts";
import * as cloudflare from "./workers/served.ts";
import {
  type CloseInfo,
  Peer,
  type PeerOptions,
  type ServiceClass,
  type Socket,
  type SocketMaker,
} from "../mod.ts";

/** Where all listen. */
export const quiet: {
  readonly port: 0;
  readonly hostname: "127.0.0.1";
  readonly onListen: () => void;
} = { port: 0, hostname: "127.0.0.1", onListen() {} };

/** The hook of refusals, which are wanted here; else the log is told. */
const onrefuse = (): void => {};

/** The names that the others go by where they listen; here there is no such place. */
const hosts = "loopback";

/** What all are asked for alike. */
export interface Options
  extends AcceptSettings<unknown, { remoteAddr: unknown }>, ClassSettings {
  fetch?: (request: Request) => Response | Promise<Response>;
}

/** One of the servers. */
export interface Platform {
  readonly name: "Deno" | "Node" | "Bun" | "workerd";
  serve<Service extends ServicePeer>(
    service: ServiceClass<Service, never>,
    options?: Options,
  ): Promise<ListeningServer<Service>>;
  /** Serves what is no class. */
  define(options: DefinitionOptions): Promise<ListeningServer<Peer>>;
  /** Makes a handler of whatever it is given, as JavaScript does. */
  upgrade(...args: unknown[]): unknown;
}

/** A definition, and what all are asked for alike. */
export type DefinitionOptions =
  & AcceptDefinition<unknown, unknown>
  & Omit<Options, "onerror">;

const all: readonly Platform[] = [
  {
    name: "Deno",
    serve: <Service extends ServicePeer>(
      service: ServiceClass<Service, never>,
      options?: Options,
    ) =>
      Promise.try(() =>
        deno.serve(service as ServiceClass<Service>, {
          ...quiet,
          onrefuse,
          ...options,
        })
      ),
    define: (options) =>
      Promise.try(() => deno.serve({ ...quiet, onrefuse, ...options })),
    upgrade: deno.upgrade as Platform["upgrade"],
  },
  {
    name: "Node",
    serve: <Service extends ServicePeer>(
      service: ServiceClass<Service, never>,
      options?: Options,
    ) =>
      node.serve(service as ServiceClass<Service>, {
        ...quiet,
        onrefuse,
        ...options,
      }),
    define: (options) => node.serve({ ...quiet, onrefuse, ...options }),
    upgrade: node.upgrade as Platform["upgrade"],
  },
  {
    name: "Bun",
    serve: <Service extends ServicePeer>(
      service: ServiceClass<Service, never>,
      options?: Options,
    ) =>
      Promise.try(() =>
        bun.serve(service as ServiceClass<Service>, {
          ...quiet,
          onrefuse,
          ...options,
        })
      ),
    define: (options) =>
      Promise.try(() => bun.serve({ ...quiet, onrefuse, ...options })),
    upgrade: bun.upgrade as Platform["upgrade"],
  },
  {
    name: "workerd",
    serve: <Service extends ServicePeer>(
      service: ServiceClass<Service, never>,
      options?: Options,
    ) =>
      Promise.try(() =>
        cloudflare.serve(service, { hosts, onrefuse, ...options })
      ) as Promise<ListeningServer<never>>,
    define: (options) =>
      Promise.try(() =>
        cloudflare.serve({ hosts, onrefuse, ...options }, {})
      ) as Promise<ListeningServer<never>>,
    upgrade: upgrade as Platform["upgrade"],
  },
];

const userAgent = navigator.userAgent.split("/")[0];
const own = userAgent === "Cloudflare-Workers" ? "workerd" : userAgent;

/** Those of the runtime at hand: the one over `ws`, where there is that, and its own. */
export const platforms: readonly Platform[] = all.filter(({ name }) =>
  name === own || name === "Node" && own !== "workerd"
);

/** Platforms where something is not the same, and the words of the guide for it. */
export type Except = { readonly [Name in Platform["name"]]?: string };

/** What Cloudflare's runtime has not, or decides itself, as docs/guide/workers.md says it. */
export const cloudflares: {
  readonly [Name in "drain" | "ping" | "buffered" | "address" | "node"]: {
    readonly workerd: string;
  };
} = {
  drain: { workerd: "There is no `drain`" },
  ping: { workerd: "A server sends no ping of the WebSocket's own" },
  buffered: { workerd: "`bufferedAmount` is unknown" },
  address: { workerd: "The runtime itself reads the head of a request" },
  node: { workerd: "`/node` is not for it" },
};

/**
 * A test of what is the same on all servers, or on all but some.
 *
 * @param but Where it is not so; and the runtime that keeps something of its own
 * afterwards.
 */
export function bothTest(
  title: string,
  test: (platform: Platform) => Promise<void>,
  but: Except & { readonly leaks?: Platform["name"] } = {},
): void {
  for (const platform of platforms) {
    if (but[platform.name] !== undefined) continue;
    const name = `${title}, on ${platform.name}`;
    const fn = (): Promise<void> => test(platform);
    if (platform.name !== but.leaks) Deno.test(name, fn);
    else Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
  }
}

/** What may be called of {@linkcode Recorder}. */
export interface RecorderLocal {
  user(): string | null;
  count(): number;
  echo(value: unknown): unknown;
  never(): Promise<unknown>;
  closeMe(): void;
}

/** Lives and deaths of a service's instances. */
export class Recorder extends Peer<unknown, { user: string } | undefined> {
  static instances: Recorder[] = [];
  readonly events: unknown[] = [];
  override local: RecorderLocal = {
    user: () => this.context?.user ?? null,
    count: () => Recorder.instances.length,
    echo: (value: unknown) => value,
    never: () => new Promise(() => {}),
    closeMe: () => this.close(4000, "as you wish"),
  };
  constructor(
    ws: Socket | SocketMaker,
    options: PeerOptions<{ user: string } | undefined>,
  ) {
    super(ws, options);
    Recorder.instances.push(this);
  }
  override onopen(): void {
    this.events.push("open");
  }
  override onclose(event: CloseInfo): void {
    this.events.push(event.code);
  }
}

/** The address that a connection comes from, where it is known. */
export function addressIn(info: { remoteAddr?: unknown }): string | undefined {
  return (info.remoteAddr as Deno.NetAddr | undefined)?.hostname;
}

/** What {@linkcode addressIn} tells of a connection of this machine's. */
export function addressOn({ name }: Platform): string | undefined {
  return name === "workerd" ? undefined : "127.0.0.1";
}

/** Serves {@linkcode Recorder}, with no instances yet. */
export function serveRecorder(
  platform: Platform,
  options: Options = {},
): Promise<ListeningServer<Recorder>> {
  Recorder.instances = [];
  return platform.serve(Recorder, options);
}

/** Speaks HTTP by hand, returns the answer's head and leaves the socket open. */
export async function handshake(
  server: { url: string },
  lines: readonly string[],
  method = "GET",
): Promise<{ head: string; conn: Deno.TcpConn }> {
  const { port: digits, pathname } = new URL(server.url);
  const port = Number(digits);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const host = lines.some((line) => /^host:/i.test(line))
    ? []
    : [`Host: 127.0.0.1:${port}`];
  const text = [
    `${method} ${pathname} HTTP/1.1`,
    ...host,
    ...lines,
    "",
    "",
  ];
  await conn.write(new TextEncoder().encode(text.join("\r\n")));
  const buffer = new Uint8Array(4096);
  const length = await conn.read(buffer) ?? 0;
  return { head: new TextDecoder().decode(buffer.subarray(0, length)), conn };
}

/** The headers of a good handshake. */
export const upgradeLines: readonly string[] = [
  "Connection: keep-alive, Upgrade",
  "Upgrade: WebSocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/** Waits until something is so. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
