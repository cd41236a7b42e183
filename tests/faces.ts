/**
 * The two peers, the whole and the small one: one behavioural test runs over both,
 * and what differs between them stands here, once.
 *
 * @module
 */

import type { Address, CreateSocket, Protocols } from "../client.ts";
import * as client from "../client.ts";
import type { BasePeer, PeerOptions, Socket, SocketMaker } from "../mod.ts";
import {
  defaultLimits,
  type Limits,
  Peer,
  references,
  streams,
} from "../mod.ts";
import * as slim from "../slim.ts";

/** What a client of either kind is made with. */
export interface ClientOptions extends PeerOptions {
  /** Of the small peer; default: streams and references. */
  use?: readonly slim.Part[];
  protocols?: Protocols;
  createSocket?: CreateSocket;
  /** Whose `this` is known to nobody here. */
  local?: object;
}

/** A class of peers. */
export type PeerClass = new <Theirs = unknown, Context = unknown>(
  ws: Socket | SocketMaker,
  options?: FaceOptions,
) => BasePeer<Theirs, Context>;

/** Options in whose hooks `this` is the peer. */
export type FaceOptions = ClientOptions & ThisType<BasePeer>;

/** One of the two peers. */
export interface Face {
  readonly name: "whole" | "small";
  /** The file that exports it. */
  readonly door: "mod.ts" | "slim.ts";
  /** The class, as it is. */
  readonly Peer: PeerClass;
  /** Makes a peer that has streams and references. */
  peer<Theirs = unknown>(
    ws: Socket | SocketMaker,
    options?: FaceOptions,
  ): BasePeer<Theirs>;
  /** Makes a client that has streams and references. */
  connect<Theirs = unknown>(
    url: Address,
    options?: FaceOptions,
  ): BasePeer<Theirs>;
  /** Makes a client that is an instance of a class. */
  connectAs<Service>(
    url: Address,
    Service: new (ws: Socket | SocketMaker, options: FaceOptions) => Service,
    settings?: FaceOptions,
  ): Service;
  /** A limit: the wanted one, where it can be set. */
  most(name: keyof Limits, wanted: number): number;
}

const use: readonly slim.Part[] = [streams, references];

/** The hook of attempts that fail, which they shall; else the log is told. */
const onattempt = (): void => {};

/** The whole peer: everything is on. */
export const whole: Face = {
  name: "whole",
  door: "mod.ts",
  Peer: Peer as unknown as PeerClass,
  peer: <Theirs>(ws: Socket | SocketMaker, options: FaceOptions = {}) =>
    new Peer<Theirs>(ws, options as PeerOptions),
  connect: <Theirs>(url: Address, options: FaceOptions = {}) =>
    client.connect<Theirs>(
      url,
      { onattempt, ...options } as client.ConnectOptions<Theirs>,
    ),
  connectAs: (url, Service, settings = {}) =>
    client.connect(
      url,
      Service as never,
      settings as client.ConnectSettings,
    ),
  most: (_name, wanted) => wanted,
};

/** The small peer, with what can be added to it. */
export const small: Face = {
  name: "small",
  door: "slim.ts",
  Peer: slim.Peer as unknown as PeerClass,
  peer: <Theirs>(ws: Socket | SocketMaker, options: FaceOptions = {}) =>
    new slim.Peer<Theirs>(ws, { use, ...options } as slim.PeerOptions),
  connect: <Theirs>(url: Address, options: FaceOptions = {}) =>
    slim.connect<Theirs>(
      url,
      { use, onattempt, ...options } as slim.ConnectOptions<Theirs>,
    ),
  connectAs: (url, Service, settings = {}) =>
    slim.connect(
      url,
      Service as never,
      { use, ...settings } as slim.ConnectSettings,
    ),
  most: (name) => defaultLimits[name],
};

/** Both. */
export const faces: readonly Face[] = [whole, small];

/** A test of what both peers do alike. */
export function eachPeer(
  title: string,
  test: (face: Face) => Promise<void> | void,
): void {
  for (const face of faces) {
    Deno.test(`${title}, ${face.name}`, () => test(face));
  }
}

/** A test of what the whole peer alone does. */
export function wholePeer(
  title: string,
  test: (
    face: typeof whole & { readonly Peer: typeof Peer },
  ) => Promise<void> | void,
): void {
  Deno.test(title, () => test(whole as Parameters<typeof test>[0]));
}

/** A row of the table of differences: what it means to have a part, or not. */
export interface Difference {
  readonly whole: string;
  readonly small: string;
  /** The members of the peer that only who has the part has. */
  readonly members?: readonly string[];
}

/** What differs, by part. All else that has one name means the same. */
export const differences: { readonly [part: string]: Difference } = {
  streams: { whole: "on", small: "with `use: [streams]`" },
  references: {
    whole: "on",
    small: "with `use: [references]`; without, a function is a TypeError",
  },
  versions: {
    whole: "JSON-RPC 1.0 and bare, `version`",
    small: "2.0 only; a message without `jsonrpc` is read as 2.0",
    members: ["version"],
  },
  batches: {
    whole: "`batch`; in both directions",
    small: "none; one that arrives is answered with -32600",
    members: ["batch"],
  },
  sharedFrames: { whole: "`sharedFrames: true`", small: "none" },
  heartbeat: {
    whole: "a dead server of this library is known within 35 seconds",
    small: "none; only time-outs of calls show that a server is dead",
  },
  slowReaders: {
    whole: "`drained`; messages for a slow server wait on this side",
    small: "none; they wait in the socket",
    members: ["drained"],
  },
  bounds: { whole: "`depth`, `handlerTimeout`, rates", small: "none" },
  traces: { whole: "`trace`", small: "none" },
  crowds: {
    whole: "calls beyond `incoming` wait until others end",
    small: "none; a client runs every call of its server",
  },
  answers: {
    whole:
      "the HTTP status and `Retry-After` of a refusal, where the socket tells them; 401, 403, 404 and 410 are final",
    small: "none; sockets of browsers tell none",
  },
  hints: {
    whole:
      "misuse that TypeScript would refuse throws at once; `onerror` is told of a call to a method that is only inherited, and of an `onopen` that waits for its own call, which then goes on",
    small: "none; such an `onopen` waits until the call times out",
  },
  status: {
    whole: "`connection`, a status to subscribe to",
    small: "none; use `state` and the hooks",
    members: ["connection"],
  },
  limits: {
    whole: "all are options",
    small:
      "fixed: lengths of ids, methods and sent messages; calls, streams, queues. A client reads messages of any length",
  },
  draining: {
    whole: "`finish`, `running`",
    small: "none",
    members: ["finish", "running"],
  },
  unmatched: {
    whole: "`unmatched`, the number of responses that no request waited for",
    small: "none",
    members: ["unmatched"],
  },
};

/** The table of differences, as docs/guide/small-client.md has it, but for its spaces. */
export function differencesTable(): string {
  const rows = [
    ["part", "`@jsonrpcws/peer/client`", "`@jsonrpcws/peer/slim`"],
    ["-", "-", "-"],
    ...Object.entries(differences).map((
      [part, { whole, small }],
    ) => [`\`${part}\``, whole, small]),
  ];
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
