/**
 * The admission to a server, on whatever platform: who may connect, the instance
 * that each connection gets, and how they all leave.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-4.2}
 *
 * @module
 */

import { ignoreError } from "../line/close.ts";
import type { ErrorContext } from "../peer/call.ts";
import type { Keeper, Owner } from "../peer/core.ts";
import { Deferred } from "../line/deferred.ts";
import { CloseCode, type CloseInfo } from "../wire/error.ts";
import { Readers } from "../parts/slow_readers.ts";
import { subprotocol, usualLength } from "../parts/shared_frames.ts";
import { isThenable } from "../line/deferred.ts";
import {
  type AdmissionLimits,
  completeAdmissionLimits,
  completeLimits,
  type Limits,
  serverLimits,
} from "../wire/limits.ts";
import { readAmount } from "../wire/amount.ts";
import { checkOptions, checkService, sayWhat } from "../presets/misuse.ts";
import type {
  Definition,
  NoPeer,
  PeerOptions,
  PeerSettings,
} from "../peer/options.ts";
import {
  admitsHost,
  admitsOrigin,
  checkHosts,
  checkOrigins,
  type Hosts,
  isLoopback,
  isPrivate,
  type Origins,
  type RequestHead,
} from "./origin.ts";
import {
  quoteHeader,
  type Refusal,
  type RefusalReason,
  Refusals,
} from "./refusal.ts";
import { coreOf, keepPeer as keep } from "../peer/base.ts";
import { Peer, type ServiceClass } from "../presets/everything.ts";
import { shareTurns } from "./turns.ts";
import { ReadyState, type Socket } from "../line/socket.ts";
import { isIsolating } from "../runtime/isolates.ts";
import { Alarm, type Sleeper, startTimer } from "../line/timers.ts";

/** The members that a server needs of an instance; every {@linkcode Peer} has them. */
export interface ServicePeer {
  /** See {@linkcode Peer.ws}. */
  readonly ws: Socket | undefined;
  /** See {@linkcode Peer.context}. */
  readonly context?: unknown;
  /** See {@linkcode Peer.running}. */
  readonly running: readonly string[];
  /** See {@linkcode Peer.closed}. */
  readonly closed: Promise<CloseInfo>;
  /** See {@linkcode Peer.finish}. */
  finish(): Promise<void>;
  /** See {@linkcode Peer.close}. */
  close(code?: number, reason?: string): void;
}

/**
 * The settings of every server: how connections are accepted.
 *
 * @typeParam Context The type of the instances' {@linkcode Peer.context}.
 * @typeParam Info The type of what the server knows of whoever sent a request.
 */
export interface AcceptSettings<Context, Info> extends PeerSettings {
  /**
   * Decides who may connect, before the handshake: a Response refuses, anything
   * else becomes the {@linkcode Peer.context} of the connection's instance. Take
   * from the request what the service needs of it (a cookie, a ticket, the path);
   * it can't be read afterwards.
   *
   * It may take the `authorizationTime` of the limits; then the client is
   * answered 503, and what comes late is dropped. A throw reaches `onerror`, and
   * the client as a bare 500.
   *
   * In a definition it stands before `local`, if methods there read
   * `this.context`: TypeScript reads from the top.
   */
  authorize?: (
    this: void,
    request: Request,
    info: Info,
  ) => Context | Response | Promise<Context | Response>;
  /**
   * Called with each handshake that is refused: by `origins`, `hosts`, `authorize`, a
   * limit, because it is malformed, or the server shuts down. Default: one `console.warn` for each
   * reason, but not while it shuts down; it names the option that lets such in.
   */
  onrefuse?: (this: void, refusal: Refusal<Info>) => void | Promise<void>;
  /**
   * The pages that may connect, by their origin: a list, a function, or `"*"`.
   * Others are answered 403, before `authorize` is asked. Default: those that
   * come from the host and port that they connect to. Who is no browser says no
   * origin, and is not refused for it. See {@linkcode Origins}.
   */
  origins?: Origins;
  /**
   * The names that this server goes by in the header `Host`, without ports; asked
   * for by another, it answers a handshake with 403. Default: those of this
   * machine where a server listens on a loopback address (else any page could
   * reach it by a name of its own that suddenly means 127.0.0.1), any elsewhere.
   * Name them if a proxy before it passes the public one on. See
   * {@linkcode Hosts}.
   */
  hosts?: Hosts;
  /**
   * The address that a connection counts for while it is not known whose it is, see
   * `unauthenticatedPerAddress` of the limits: that in `X-Forwarded-For`, behind a
   * proxy that can be trusted to set it. Default: the one that it comes from, unless
   * that is a loopback or private one, which may be a proxy's and is everybody's.
   */
  addressOf?: (this: void, request: Request, info: Info) => string;
  /**
   * Whether a connection must come to have a {@linkcode Peer.context}, by
   * `authorize` or by a call that sets it. One that has none counts as
   * `unauthenticated`, and is closed with 4408 `authorizationTime` after its
   * handshake. Default `false`.
   */
  requireContext?: boolean;
  /**
   * The subprotocols that this server speaks, the preferred first. The first one
   * that the client offers is selected. Default: none; see also `sharedFrames`.
   */
  protocols?: readonly string[];
  /**
   * Seconds: a connection silent for half of it is asked for a sign of life, by
   * the WebSocket's own ping, and closed after the other half. Default: `pingAfter`
   * and `pingWithin` of the limits are these times; in Deno nine tenths of both
   * together, 31.5 seconds. `Infinity`: never.
   */
  idleTimeout?: number;
  /**
   * Limits that differ from {@linkcode serverLimits}, of each connection, and
   * from {@linkcode defaultAdmissionLimits}, of all. 0 is zero, `Infinity` is no
   * limit.
   */
  limits?: Partial<Limits & AdmissionLimits>;
}

/** The settings behind a class, whose instances have their own hooks. */
export interface ClassSettings {
  /**
   * Called with what `authorize`, `origins` or the class's constructor threw.
   * Default: `console.error`.
   */
  onerror?: (this: void, error: unknown) => void | Promise<void>;
}

/** A definition that each connection of a server gets a peer of. */
export interface AcceptDefinition<Theirs, Context>
  extends Omit<Definition, "onerror">, NoPeer {
  /**
   * Called with the errors of each peer, see {@linkcode Peer.onerror}; and, where
   * `this` is `undefined`, with what `authorize` or `origins` threw.
   */
  onerror?(
    this: Peer<Theirs, Context> | undefined,
    error: unknown,
    context: ErrorContext,
  ): void | Promise<void>;
}

/**
 * The settings for a class whose instances have this context: unless it may be
 * `undefined`, `authorize` must tell where it comes from.
 */
export type SettingsFor<Context, Settings extends { authorize?: unknown }> =
  undefined extends Context ? Settings
    : Settings & Required<Pick<Settings, "authorize">>;

/**
 * A class that needs no settings: its instances' context may be `undefined`.
 */
export type WithoutSettings<Context> = undefined extends Context ? unknown
  : Needs<"The class has a context: give authorize, which tells it">;

/** The type that nothing has, for an error of the compiler that says why. */
export interface Needs<Why extends string> {
  /** The reason. */
  readonly needs: Why;
}

/** The options of a drain. */
export interface DrainOptions {
  /**
   * Milliseconds that it may take. Default 30,000; `Infinity`: any number. The
   * last tenth, a second at
   * most, is kept for closing what has not finished.
   */
  within?: number;
  /**
   * Milliseconds over which the clients are asked to come back, each at a moment
   * of its own. Default 5,000.
   */
  spread?: number;
}

/** The outcome of a drain. */
export interface DrainReport {
  /** Number of connections that were closed in time. */
  readonly closed: number;
  /** Number of those that were not: their peer read no more, or didn't answer. */
  readonly cut: number;
  /** The names of the methods that still ran, one for each call. */
  readonly running: readonly string[];
}

/** A request to connect, and what the server knows of whoever sent it. */
export interface Handshake<Info> extends RequestHead {
  readonly info: Info;
}

/** A request that was found good: to be accepted, or else abandoned, once. */
export interface Admission {
  /** The subprotocol that was selected. */
  readonly protocol: string | undefined;
  /** Whether it is that of this library, whose peers share frames and answer `rpc.ping`. */
  readonly isShared: boolean;
  /** Makes the service's instance of the connection; never throws. */
  accept(socket: Socket): ServicePeer | undefined;
  /** Forgets it: there was no handshake. */
  abandon(): void;
}

/** The decision that didn't come in time. */
const tooLate = Symbol("too late");

/** A class, or a definition with its settings. */
export type Service<Info> =
  | ServiceClass<ServicePeer>
  | AcceptDefinition<unknown, unknown> & AcceptSettings<unknown, Info>;

// No timer takes more than a little longer.
const longest = 2_000_000_000;

/**
 * The options of a service: the settings of a class, or a definition.
 *
 * @throws {TypeError} It is no service.
 */
export function optionsOf<Definition extends object, Settings extends object>(
  service: ServiceClass<ServicePeer> | Definition,
  settings: Settings,
): Definition | Settings {
  checkService(service, settings, "serve", "finish");
  return typeof service === "function" ? settings : service as Definition;
}

/** Accepts connections for one service, and knows those that live. */
export class Acceptor<Info> implements Keeper, Sleeper {
  /** The instances, from the handshake until their socket is gone. */
  readonly peers: Set<ServicePeer> = new Set();
  /** How a connection is limited. */
  readonly limits: AdmissionLimits;
  /** Whether a handshake was answered after which the socket never opened. */
  hasUnopened = false;
  place = -1;

  readonly #Service: ServiceClass<ServicePeer>;
  readonly #options: AcceptSettings<unknown, Info> & ClassSettings;
  /** The options of each peer: of a definition's, its hooks too. */
  readonly #peerOptions: PeerOptions;
  readonly #protocols: readonly string[];
  readonly #readers: Readers;
  readonly #refusals: Refusals<Info>;
  /** The answers whose refusals the owner was told of. */
  readonly #told = new WeakSet<Response>();
  #hosts: Hosts;
  /** The last header `Host` that was one of these. */
  #admittedHost: string | null = null;
  /** Handshakes that are being decided about, or done. */
  #admitting = 0;
  /** Of whom it was not known who they are, when last looked at. */
  readonly #unknown = new Set<Unknown>();
  /** The peers that must have opened, or have a context, by when. */
  readonly #expected = new Map<ServicePeer, number>();
  readonly #alarm: Alarm = new Alarm();
  /** The farewell to whoever still comes, once the server is leaving. */
  #dismiss: ((peer: ServicePeer) => void) | undefined;
  #drained: Promise<DrainReport> | undefined;

  /**
   * @param service A class, or a definition with its settings.
   * @param settings Those of a class.
   * @param limits Those that the platform adds.
   * @throws {RangeError} A limit is not a whole number of 0 or more.
   * @throws {TypeError} The service is none, an option is not what it must be, or an
   * origin or a host could never match.
   */
  constructor(
    service: Service<Info>,
    settings: AcceptSettings<unknown, Info> & ClassSettings,
    limits?: Partial<Limits>,
  ) {
    // Its `onerror` is told of no peer where nobody is: `this` is undefined.
    const options = optionsOf(service, settings as object) as typeof settings;
    const isClass = typeof service === "function";
    checkOptions(options, functionNames);
    checkOrigins(options.origins);
    checkHosts(options.hosts);
    this.limits = completeAdmissionLimits(options.limits);
    this.#Service = isClass ? service : Peer;
    this.#options = options;
    this.#refusals = new Refusals(options.onrefuse);
    this.#peerOptions = {
      ...pick(options, isClass ? settingNames : optionNames),
      limits: completeLimits(
        limits === undefined
          ? options.limits
          : { ...options.limits, ...limits },
        serverLimits,
      ),
    };
    this.#readers = new Readers(this.limits.bufferedTotal);
    readAmount("timeout", options.timeout ?? 0);
    const { sharedFrames = true, version, protocols = [] } = options;
    if (!Array.isArray(protocols)) {
      throw new TypeError(
        `Cannot set protocols: they must be an array, ["chat"], got ${
          sayWhat(protocols)
        }`,
      );
    }
    const isSharing = sharedFrames && version !== "1.0";
    this.#protocols = isSharing ? [subprotocol, ...protocols] : protocols;
    this.#hosts = options.hosts ?? "*";
  }

  /** The limits of each connection. */
  get connectionLimits(): Limits {
    return this.#peerOptions.limits as Limits;
  }

  /** Takes note of the address that the server listens on. */
  listensOn(hostname: string): void {
    if (this.#options.hosts === undefined && isLoopback(hostname)) {
      this.#hosts = "loopback";
      this.#admittedHost = null;
    }
  }

  /**
   * Whether a request asks for a WebSocket, and is to be admitted; a Response: it
   * was meant to, and can't.
   */
  asks(
    method: string | undefined,
    handshake: Handshake<Info>,
  ): boolean | Response {
    if (isHandshake(method, handshake)) return true;
    // Nothing else has such a key.
    if (handshake.get("sec-websocket-key") === null) return false;
    if (method === "GET") {
      const why =
        "it has no header Upgrade or Connection that asks for a WebSocket; a proxy before the server must pass both on";
      return this.refuse(handshake, requireUpgrade(), why);
    }
    const answer = refuse(405, "A handshake is a GET", { allow: "GET" });
    return this.refuse(handshake, answer, "its method is another than GET");
  }

  /** Refuses a handshake whose address and header `Host` are not one. */
  refuseAddress(handshake: Handshake<Info>): Response {
    const why =
      "its address or its header Host can't be read, or they name two hosts";
    return this.refuse(handshake, badRequest(), why);
  }

  /** Refuses a handshake that is malformed. */
  refuse(handshake: Handshake<Info>, answer: Response, why: string): Response {
    return this.#refuse(handshake, "handshake", answer, why);
  }

  /**
   * Decides about a handshake: a Response refuses it. Never throws, nor rejects;
   * a promise only where the owner's functions take their time.
   */
  admit(
    handshake: Handshake<Info>,
  ): Response | Admission | Promise<Response | Admission> {
    if (handshake.get("sec-websocket-version") !== "13") {
      const why = "it is of another version of WebSocket than 13";
      return this.#refuse(handshake, "version", requireUpgrade(), why);
    }
    if (!key.test(handshake.get("sec-websocket-key") ?? "")) {
      const why =
        "its header Sec-WebSocket-Key is none, or not 16 bytes of Base64";
      return this.refuse(handshake, refuse(400, "Bad Sec-WebSocket-Key"), why);
    }
    if (this.#dismiss !== undefined) return this.#refuseToStay(handshake);
    if (!this.#admitsHost(handshake)) {
      const host = quoteHeader(handshake, "host");
      return this.#refuse(
        handshake,
        "hosts",
        refuse(403, "This server goes by another name"),
        `it asks for host ${host}, which is none of the server's names; set hosts`,
      );
    }
    const address = this.#addressOf(handshake);
    if (this.#isShareTaken(address)) {
      const limit = this.limits.unauthenticatedPerAddress;
      return this.#refuse(
        handshake,
        "unauthenticated",
        unavailable("Too many connections"),
        `${limit} of at most ${limit} connections of its address are nobody's yet; set addressOf or limits.unauthenticatedPerAddress`,
      );
    }
    const full = this.#findFull(address);
    if (full !== undefined) {
      const limit = this.limits[full];
      return this.#refuse(
        handshake,
        full,
        unavailable("Too many connections"),
        `there are ${limit} of at most ${limit} ${
          full === "connections" ? full : "connections that are nobody's yet"
        }; set limits.${full}`,
      );
    }

    // Nothing of the request can be read once it is upgraded.
    const protocol = selectProtocol(handshake, this.#protocols);
    this.#admitting++;
    const unknown: Unknown = { address, peer: undefined, since: 0 };
    this.#unknown.add(unknown);
    let answer: unknown;
    try {
      answer = this.#decide(handshake);
    } catch (error) {
      answer = this.#refuseFor(error, handshake);
    }
    return isThenable(answer)
      ? this.#decided(answer, handshake).then((answer) =>
        this.#conclude(answer, protocol, handshake, unknown)
      )
      : this.#conclude(answer, protocol, handshake, unknown);
  }

  /**
   * The address that a connection has a share by, while nobody knows whose it is;
   * `undefined`: it may be anybody's.
   */
  #addressOf(handshake: Handshake<Info>): string | undefined {
    const { authorize, requireContext, origins, addressOf } = this.#options;
    const isAsked = authorize !== undefined || typeof origins === "function";
    if (!isAsked && !requireContext) return undefined;
    try {
      if (addressOf !== undefined) {
        return `${addressOf(handshake.request, handshake.info)}`;
      }
    } catch (error) {
      this.report(error);
      return undefined;
    }
    const info = handshake.info as
      | { remoteAddr?: { hostname?: string } }
      | undefined;
    const address = info?.remoteAddr?.hostname;
    return address === undefined || isPrivate(address) ? undefined : address;
  }

  #isShareTaken(address: string | undefined): boolean {
    if (address === undefined) return false;
    this.#countUnknown();
    let count = 0;
    for (const unknown of this.#unknown) {
      if (unknown.address === address) count++;
    }
    return count >= this.limits.unauthenticatedPerAddress;
  }

  /**
   * Ends the oldest that says nothing, of those whose address has no share: behind a
   * proxy all have its address, and all come at once after a deploy.
   */
  #endSilent(): boolean {
    const latest = performance.now() - mostSilence;
    for (const unknown of this.#unknown) {
      const { address, peer, since } = unknown;
      if (
        address !== undefined || peer === undefined || since > latest ||
        coreOf(peer)?.connection.spoken !== undefined
      ) continue;
      this.#unknown.delete(unknown);
      this.#expected.delete(peer);
      const reason = "Not authorized while others wait";
      this.#close(peer, CloseCode.AuthorizationTimeout, reason);
      return true;
    }
    return false;
  }

  /** The limit that lets nobody more in. */
  #findFull(
    address: string | undefined,
  ): "connections" | "unauthenticated" | undefined {
    const { connections, unauthenticated } = this.limits;
    return this.peers.size + this.#admitting >= connections
      ? "connections"
      : this.#countUnknown() >= unauthenticated &&
          !(address === undefined && this.#endSilent())
      ? "unauthenticated"
      : undefined;
  }

  /** Tells the owner of a refusal, and gives the answer back. */
  #refuse(
    handshake: Handshake<Info>,
    reason: RefusalReason,
    answer: Response,
    why: string,
  ): Response {
    this.#told.add(answer);
    try {
      const { status } = answer;
      const result = this.#refusals.tell(handshake, reason, status, why);
      if (isThenable(result)) {
        Promise.resolve(result).catch((error: unknown) => this.report(error));
      }
    } catch (error) {
      this.report(error);
    }
    return answer;
  }

  #refuseToStay(handshake: Handshake<Info>): Response {
    const answer = unavailable("Shutting down");
    return this.#refuse(handshake, "shutdown", answer, "the server shuts down");
  }

  /**
   * Makes the service's instance of a connection that was accepted before, and whose
   * instance is gone; never throws.
   */
  resume(
    socket: Socket,
    context: unknown,
    protocol: string | undefined,
  ): ServicePeer | undefined {
    return this.#accept(socket, context, protocol, undefined, true);
  }

  /** Forgets a peer that is gone. */
  release(gone: object): void {
    const peer = gone as ServicePeer;
    this.peers.delete(peer);
    this.#expected.delete(peer);
    this.#forget(peer);
    if (this.#expected.size === 0) this.#alarm.delete(this);
  }

  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void {
    try {
      const { onerror } = this.#options;
      if (onerror === undefined) return console.error(error);
      const result = (onerror as Owner["onerror"])(error, {});
      if (isThenable(result)) Promise.resolve(result).catch(() => {});
    } catch {
      // There is nobody left to tell.
    }
  }

  /** Tells the owner of an error, of which a client learns no more than that. */
  fail(error: unknown): Response {
    this.report(error);
    return refuse(500, "Internal server error");
  }

  /** Accepts no more, and closes each connection; resolves when all are gone. */
  async close(): Promise<void> {
    this.#dismiss = (peer): void =>
      this.#close(peer, CloseCode.GoingAway, "Server is shutting down");
    await Promise.all(Array.from(this.peers, (peer) => {
      this.#dismiss!(peer);
      return peer.closed;
    }));
  }

  /**
   * Accepts no more, lets what runs finish, and closes each connection; a second
   * time does nothing more. Takes `within` at most.
   *
   * @throws {RangeError} `within` or `spread` is no number of 0 or more.
   */
  drain(options: DrainOptions = {}): Promise<DrainReport> {
    const { within = 30_000, spread = 5_000 } = options;
    readAmount("within", within);
    readAmount("spread", spread);
    return this.#drained ??= this.#drain(
      new Timer(within - Math.min(1_000, within / 10)),
      new Timer(within),
      spread,
    );
  }

  async #drain(
    callsEnd: Timer,
    end: Timer,
    spread: number,
  ): Promise<DrainReport> {
    let closed = 0;
    let cut = 0;
    const running: string[] = [];
    const leave = async (peer: ServicePeer): Promise<void> => {
      await Promise.race([peer.finish(), callsEnd.promise]);
      await emptied(peer, callsEnd);
      running.push(...peer.running);
      const pause = Math.floor(Math.random() * Math.min(spread, longest));
      const reason = `Server restarts, retry in ${pause} ms`;
      this.#close(peer, CloseCode.ServiceRestart, reason);
      const isGone = peer.closed.then(() => true);
      if (await Promise.race([isGone, end.promise])) closed++;
      else {
        cut++;
        peer.ws?.terminate?.();
      }
    };
    // Unless it was closed already: then this drain is that.
    this.#dismiss ??= (peer): void => void leave(peer);
    await Promise.all(Array.from(this.peers, leave));
    callsEnd.clear();
    end.clear();
    return { closed, cut, running };
  }

  /** Parsing addresses is a tenth of what a connection costs. */
  #admitsHost(head: RequestHead): boolean {
    // With more than a host in it, it would be a part of the path that is judged.
    const { authorize, origins } = this.#options;
    const isJudged = authorize !== undefined || typeof origins === "function";
    if (this.#hosts === "*" && !isJudged) return true;
    const host = head.get("host");
    if (host !== null && host === this.#admittedHost) return true;
    if (!admitsHost(head, this.#hosts)) return false;
    this.#admittedHost = host;
    return true;
  }

  /** Asks who decides. */
  #decide(handshake: Handshake<Info>): unknown {
    const isAllowed = admitsOrigin(handshake, this.#options.origins);
    if (!isThenable(isAllowed)) {
      return this.#authorize(isAllowed, handshake, handshake);
    }
    // Read now: of a client that goes away meanwhile nothing could be told.
    const { request, info } = handshake;
    return isAllowed.then((isAllowed) =>
      this.#authorize(isAllowed, { request, info }, handshake)
    );
  }

  #authorize(
    isAllowed: unknown,
    asked: Pick<Handshake<Info>, "request" | "info">,
    handshake: Handshake<Info>,
  ): unknown {
    // Only a clear word of a function's lets anybody in.
    if (isAllowed !== true) {
      const origin = quoteHeader(handshake, "origin");
      return this.#refuse(
        handshake,
        "origins",
        refuse(403, "This origin may not connect"),
        `a page of ${origin} asks, which may not connect to host ${
          quoteHeader(handshake, "host")
        }; set origins, [${origin}] would let it in`,
      );
    }
    const { authorize } = this.#options;
    return authorize?.(asked.request, asked.info);
  }

  /** What is decided in time; never rejects. */
  async #decided(
    decision: PromiseLike<unknown>,
    handshake: Handshake<Info>,
  ): Promise<unknown> {
    const { authorizationTime } = this.limits;
    try {
      const promise = Promise.resolve(decision);
      const answer = await settled(promise, authorizationTime, tooLate);
      if (answer !== tooLate) return answer;
      promise.then((late) => {
        if (late instanceof Response) void late.body?.cancel();
      }).catch((error: unknown) => this.report(error));
      return this.#refuse(
        handshake,
        "authorizationTime",
        unavailable("Could not authorize in time"),
        `to decide about it took longer than ${authorizationTime} ms; set limits.authorizationTime`,
      );
    } catch (error) {
      return this.#refuseFor(error, handshake);
    }
  }

  #refuseFor(error: unknown, handshake: Handshake<Info>): Response {
    const answer = this.fail(error);
    const why = "authorize or origins threw, onerror was told";
    return this.#refuse(handshake, "error", answer, why);
  }

  #conclude(
    answer: unknown,
    protocol: string | undefined,
    handshake: Handshake<Info>,
    unknown: Unknown,
  ): Response | Admission {
    const abandon = (): void => {
      if (this.#unknown.delete(unknown)) this.#admitting--;
    };
    if (this.#dismiss !== undefined && !(answer instanceof Response)) {
      answer = this.#refuseToStay(handshake);
    }
    if (answer instanceof Response) {
      abandon();
      return this.#told.has(answer) ? answer : this.#refuse(
        handshake,
        "authorize",
        answer,
        "authorize answered it with a Response",
      );
    }
    const accept = (socket: Socket): ServicePeer | undefined => {
      abandon();
      return this.#accept(socket, answer, protocol, unknown.address);
    };
    return { protocol, isShared: protocol === subprotocol, accept, abandon };
  }

  /** Forgets those that are known, and counts the others. */
  #countUnknown(): number {
    for (const unknown of this.#unknown) {
      if (unknown.peer?.context !== undefined) this.#unknown.delete(unknown);
    }
    return this.#unknown.size;
  }

  #forget(peer: ServicePeer): void {
    for (const unknown of this.#unknown) {
      if (unknown.peer === peer) this.#unknown.delete(unknown);
    }
  }

  #accept(
    socket: Socket,
    context: unknown,
    protocol: string | undefined,
    address: string | undefined,
    resumed = false,
  ): ServicePeer | undefined {
    try {
      const peer = new this.#Service(socket, {
        ...this.#peerOptions,
        context,
        resumed,
        sharedFrames: protocol === subprotocol,
      });
      shareTurns(peer);
      this.#readers.add(peer);
      this.peers.add(peer);
      if (this.#isStranger(peer)) {
        const since = performance.now();
        this.#unknown.add({ address, peer, since });
      }
      if (this.#isNobody(peer)) this.#expect(peer);
      keep(this, peer);
      this.#dismiss?.(peer);
      return peer;
    } catch (error) {
      this.report(error);
      const close = (): void => socket.close(CloseCode.InternalError);
      socket.addEventListener("error", ignoreError);
      if (socket.readyState === ReadyState.Open) close();
      else socket.addEventListener("open", close);
      return undefined;
    }
  }

  #isStranger(peer: ServicePeer): boolean {
    return this.#options.requireContext === true && peer.context === undefined;
  }

  /** Whether nobody is there, or nobody who is known. */
  #isNobody(peer: ServicePeer): boolean {
    // Of a client that went away meanwhile, Deno (2.9.5) never tells.
    return peer.ws?.readyState === ReadyState.Connecting ||
      this.#isStranger(peer);
  }

  /** Looks after a while whether somebody is there. */
  #expect(peer: ServicePeer): void {
    const { authorizationTime } = this.limits;
    if (authorizationTime === Infinity) return;
    if (isIsolating) {
      startTimer(authorizationTime, () => this.#look(peer));
      return;
    }
    this.#expected.set(peer, performance.now() + authorizationTime);
    this.#alarm.set(this, authorizationTime);
  }

  /** Looks whether they are there who should be by now. */
  wake(now: number): void {
    // All have the same time, so they are in the order in which it ends.
    for (const [peer, end] of this.#expected) {
      if (end > now) return;
      this.#expected.delete(peer);
      this.#look(peer);
    }
  }

  #look(peer: ServicePeer): void {
    this.#forget(peer);
    if (!this.#isNobody(peer)) return;
    const { authorizationTime } = this.limits;
    const reason = `Not authorized within ${authorizationTime} ms`;
    this.#close(peer, CloseCode.AuthorizationTimeout, reason);
  }

  wakeAt(): number {
    for (const end of this.#expected.values()) return end;
    return Infinity;
  }

  #close(peer: ServicePeer, code: number, reason: string): void {
    if (peer.ws?.readyState === ReadyState.Connecting) this.hasUnopened = true;
    peer.close(code, reason);
  }
}

/** A connection of which it is not known whose it is. */
interface Unknown {
  /** Of whose share; `undefined`: nobody's. */
  readonly address: string | undefined;
  /** `undefined`: it is being authorized. */
  readonly peer: ServicePeer | undefined;
  /** When it was accepted. */
  readonly since: number;
}

// Milliseconds that a client has for its first message, where others wait.
const mostSilence = 1_000;

/** A span of time that ends by itself, or is cleared. */
class Timer {
  /** Resolves when it ends; never if it is cleared. */
  readonly promise: Promise<void>;
  hasEnded = false;
  readonly #stop: (() => void) | undefined;

  constructor(milliseconds: number) {
    const { promise, resolve } = new Deferred<void>();
    this.promise = promise;
    if (milliseconds === Infinity) return;
    this.#stop = startTimer(milliseconds, () => {
      this.hasEnded = true;
      resolve();
    });
  }

  clear(): void {
    this.#stop?.();
  }
}

/** The value of a promise within a time, or else another one. */
export async function settled<T, U>(
  promise: Promise<T>,
  milliseconds: number,
  otherwise: U,
): Promise<T | U> {
  const timer = new Timer(milliseconds);
  try {
    return await Promise.race([promise, timer.promise.then(() => otherwise)]);
  } finally {
    timer.clear();
  }
}

/** Waits until what was sent has left, or the time is over, or the socket. */
async function emptied(peer: ServicePeer, end: Timer): Promise<void> {
  const { ws } = peer;
  while (
    ws?.readyState === ReadyState.Open && !end.hasEnded &&
    ((ws.bufferedAmount ?? 0) > 0 || coreOf(peer)?.backlog?.isHolding)
  ) {
    // No socket tells when.
    await settled(end.promise, 20, undefined);
  }
}

/** The options of some names, those alone that were given. */
function pick(options: object, names: readonly string[]): PeerOptions {
  const picked: { [name: string]: unknown } = {};
  for (const name of names) {
    const value = (options as typeof picked)[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** The settings of a server that are functions. */
const functionNames: readonly string[] = [
  "authorize",
  "onrefuse",
  "addressOf",
  "fetch",
  "onListen",
];

/** The settings of a server that are its peers'. */
const settingNames: readonly (keyof PeerSettings)[] = [
  "version",
  "stringErrors",
  "timeout",
  "trace",
  "discover",
];

/** The members of a server's options that are its peers'. */
const optionNames: readonly (keyof PeerOptions)[] = [
  ...settingNames,
  "local",
  "onopen",
  "onresume",
  "onclose",
  "onerror",
  "oninvalid",
];

/**
 * Reads the seconds that a connection may be silent; `undefined`: nobody chose.
 *
 * @throws {RangeError} It is no number of 0 or more.
 */
export function readIdleTimeout(
  { idleTimeout }: Pick<AcceptSettings<unknown, never>, "idleTimeout">,
): number | undefined {
  return idleTimeout === undefined
    ? undefined
    : readAmount("idleTimeout", idleTimeout, "seconds");
}

/** The limits by which a connection that is silent for so long is closed. */
export function silenceOf(
  options: Pick<AcceptSettings<unknown, never>, "idleTimeout">,
): Partial<Limits> | undefined {
  const seconds = readIdleTimeout(options);
  if (seconds === undefined) return undefined;
  const half = Math.ceil(500 * seconds);
  return { pingAfter: half, pingWithin: half };
}

/**
 * Bytes of a message that a runtime may read; 0: any number. Three bytes of UTF-8 are the
 * most that one UTF-16 code unit can take; the peer counts the units. Short messages
 * may share a frame.
 */
export function payloadOf({ messageLength }: Limits): number {
  return messageLength === Infinity
    ? 0
    : Math.min(Math.max(3 * messageLength, usualLength), 0x7fff_ffff);
}

// RFC 6455, section 4.1: 16 bytes in Base64.
const key = /^[+/0-9A-Za-z]{22}==$/;

/** Whether a request asks for a WebSocket. */
export function isHandshake(
  method: string | undefined,
  head: RequestHead,
): boolean {
  return method === "GET" &&
    /^websocket$/i.test(head.get("upgrade") ?? "") &&
    /\bupgrade\b/i.test(head.get("connection") ?? "");
}

/** The first of the server's subprotocols that the client offers. */
function selectProtocol(
  head: RequestHead,
  protocols: readonly string[],
): string | undefined {
  const offer = head.get("sec-websocket-protocol");
  if (offer === null) return undefined;
  const offered = offer.split(",").map((protocol) => protocol.trim());
  return protocols.find((protocol) => offered.includes(protocol));
}

/** Answers what can't be read. */
export function badRequest(): Response {
  return refuse(400, "Bad request");
}

/** Answers what is no handshake. */
export function requireUpgrade(): Response {
  return refuse(426, "This address speaks JSON-RPC over WebSocket", {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
  });
}

/** Answers who may come again later. */
function unavailable(why: string): Response {
  // Not all at the same moment.
  const seconds = 1 + Math.floor(Math.random() * 10);
  return refuse(503, why, { "retry-after": `${seconds}` });
}

/** Answers a request with a sentence. */
export function refuse(
  status: number,
  why: string,
  headers: { [name: string]: string } = {},
): Response {
  return new Response(`${why}\n`, { status, headers });
}
