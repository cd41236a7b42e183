/**
 * The acceptor of a server on any platform: decides about handshakes, makes an
 * instance of the service for each connection, and closes them all at the end.
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

/** The members of a {@linkcode Peer} that a server needs. */
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
 * @typeParam Info The type of the sender's description, `ConnectionInfo` of each
 * door.
 */
export interface AcceptSettings<Context, Info> extends PeerSettings {
  /**
   * Decides who may connect, before the handshake: a Response refuses, any other
   * value becomes the {@linkcode Peer.context} of the connection's instance. Take
   * from the request whatever the service needs (a cookie, a ticket, the path),
   * because it can't be read afterwards.
   *
   * After the limit `authorizationTime` the client gets 503, and a late decision is
   * dropped. If `authorize` throws, the error goes to `onerror`, and the client
   * gets 500 without a reason.
   *
   * In a definition, write it before `local` if methods read `this.context`,
   * because TypeScript infers from top to bottom.
   */
  authorize?: (
    this: void,
    request: Request,
    info: Info,
  ) => Context | Response | Promise<Context | Response>;
  /**
   * Called with each refused handshake: refused by `origins`, `hosts`, `authorize`
   * or a limit, because it is malformed, or because the server shuts down. Default:
   * one `console.warn` for each reason except `"shutdown"` and `"error"`, with the
   * option that would admit such handshakes.
   */
  onrefuse?: (this: void, refusal: Refusal<Info>) => void | Promise<void>;
  /**
   * The pages that may connect, by their origin: a list, a function, or `"*"`.
   * Others get 403, and `authorize` is not called. Default: pages from the same
   * host and port that they connect to. A request without the header `Origin`
   * doesn't come from a page, and passes. See {@linkcode Origins}.
   */
  origins?: Origins;
  /**
   * The names of this server that the header `Host` may have, without ports; a
   * handshake with another name gets 403. Default: any name, but `"loopback"` if
   * the server listens on a loopback address, because a page could reach it by a
   * name of its own that resolves to 127.0.0.1 (DNS rebinding). Set it if a proxy
   * passes the public name on to a loopback address. See {@linkcode Hosts}.
   */
  hosts?: Hosts;
  /**
   * The client's address, by which connections without a context are counted; see
   * the limit `unauthenticatedPerAddress`. Behind a proxy that can be trusted to
   * set it: the one in `X-Forwarded-For`. Default: the address that the connection
   * comes from. A loopback or private address is not counted, because it may be a
   * proxy's, which all clients share.
   */
  addressOf?: (this: void, request: Request, info: Info) => string;
  /**
   * Whether each connection must get a {@linkcode Peer.context}, by `authorize` or
   * by a call that sets it. A connection without one counts for the limit
   * `unauthenticated`, and is closed with 4408 `authorizationTime` milliseconds
   * after its handshake. Default `false`.
   */
  requireContext?: boolean;
  /**
   * The subprotocols that this server speaks, in order of preference: the first one
   * that the client offers is selected. Default: none. That of `sharedFrames` comes
   * before them.
   */
  protocols?: readonly string[];
  /**
   * Seconds of silence after which a connection is closed. After half of them it is
   * pinged, by the WebSocket's own ping. `Infinity`: never. Default: `pingAfter`
   * and `pingWithin` of the limits are the two halves.
   */
  idleTimeout?: number;
  /**
   * Limits of each connection, default {@linkcode serverLimits}, and limits of all
   * together, default {@linkcode defaultAdmissionLimits}. 0 is zero, `Infinity` is
   * no limit.
   */
  limits?: Partial<Limits & AdmissionLimits>;
}

/**
 * The settings that a server has beside a class, since the class's own `onerror`
 * knows only its instances.
 */
export interface ClassSettings {
  /**
   * Called with errors that `authorize`, `origins` or the class's constructor
   * threw. Default: `console.error`.
   */
  onerror?: (this: void, error: unknown) => void | Promise<void>;
}

/** A server's definition; each connection gets a peer with it. */
export interface AcceptDefinition<Theirs, Context>
  extends Omit<Definition, "onerror">, NoPeer {
  /**
   * Called with the errors of each peer, see {@linkcode Peer.onerror}, and with
   * those that `authorize` or `origins` threw; for the latter, `this` is
   * `undefined`.
   */
  onerror?(
    this: Peer<Theirs, Context> | undefined,
    error: unknown,
    context: ErrorContext,
  ): void | Promise<void>;
}

/**
 * The settings for a class with this context: `authorize` is required unless the
 * context may be `undefined`.
 */
export type SettingsFor<Context, Settings extends { authorize?: unknown }> =
  undefined extends Context ? Settings
    : Settings & Required<Pick<Settings, "authorize">>;

/** Marks a class that needs no settings, because its context may be `undefined`. */
export type WithoutSettings<Context> = undefined extends Context ? unknown
  : Needs<"The class has a context: give authorize, which tells it">;

/** A type that no value has: the compiler's error shows the reason. */
export interface Needs<Why extends string> {
  /** The reason, for the compiler's error. */
  readonly needs: Why;
}

/** The options of a drain. */
export interface DrainOptions {
  /**
   * Most milliseconds that the drain takes. Default 30,000; `Infinity`: no limit.
   * The last tenth of them, at most 1,000, is kept for closing connections that
   * have not finished.
   */
  within?: number;
  /**
   * Milliseconds over which the clients' return is spread: each is told a random
   * number of milliseconds below this. Default 5,000.
   */
  spread?: number;
}

/** The outcome of a drain. */
export interface DrainReport {
  /** Number of connections that closed in time. */
  readonly closed: number;
  /**
   * Number of connections that were cut, because their peer read no more or didn't
   * answer the close.
   */
  readonly cut: number;
  /**
   * Names of the methods that still ran when their connection was closed, one for
   * each call.
   */
  readonly running: readonly string[];
}

/** A handshake: its request, and the description of its sender. */
export interface Handshake<Info> extends RequestHead {
  readonly info: Info;
}

/** An admitted handshake. Either `accept` or `abandon` must be called, once. */
export interface Admission {
  /** The subprotocol that was selected. */
  readonly protocol: string | undefined;
  /**
   * Makes the connection's instance of the service; never throws. `undefined`: the
   * class's constructor threw.
   */
  accept(socket: Socket): ServicePeer | undefined;
  /** Gives the place back, because the handshake failed. */
  abandon(): void;
}

/** Stands for a decision that didn't come in time. */
const tooLate = Symbol("too late");

/** A class, or a definition with its settings. */
export type Service<Info> =
  | ServiceClass<ServicePeer>
  | AcceptDefinition<unknown, unknown> & AcceptSettings<unknown, Info>;

// Milliseconds: a little less than the longest that a timer can take.
const longest = 2_000_000_000;

/**
 * The options of a service: the settings of a class, or a definition.
 *
 * @throws {TypeError} `service` is neither a class nor a definition.
 */
export function optionsOf<Definition extends object, Settings extends object>(
  service: ServiceClass<ServicePeer> | Definition,
  settings: Settings,
): Definition | Settings {
  checkService(service, settings, "serve", "finish");
  return typeof service === "function" ? settings : service as Definition;
}

/** Accepts connections for one service, and has a list of those that are open. */
export class Acceptor<Info> implements Keeper, Sleeper {
  /** The instances, from the handshake until the socket is gone. */
  readonly peers: Set<ServicePeer> = new Set();
  /** The limits of all connections together. */
  readonly limits: AdmissionLimits;
  /**
   * Whether a peer was closed before its socket had opened: its client may have
   * left during the handshake, and the socket may never open.
   */
  hasUnopened = false;
  place = -1;
  readonly ping: Keeper["ping"];

  readonly #Service: ServiceClass<ServicePeer>;
  readonly #options: AcceptSettings<unknown, Info> & ClassSettings;
  /** The options of each peer; with a definition, also its hooks and `local`. */
  readonly #peerOptions: PeerOptions;
  readonly #protocols: readonly string[];
  readonly #readers: Readers;
  readonly #refusals: Refusals<Info>;
  /** The answers of this class's own refusals, which the owner was told of. */
  readonly #told = new WeakSet<Response>();
  #hosts: Hosts;
  /** The last header `Host` that was admitted. */
  #admittedHost: string | null = null;
  /** Number of handshakes between the request and the instance. */
  #admitting = 0;
  /** The connections without a known user, since `#countUnknown` last looked. */
  readonly #unknown = new Set<Unknown>();
  /**
   * The peers that must be open or have a context, each with the time when it must.
   */
  readonly #expected = new Map<ServicePeer, number>();
  readonly #alarm: Alarm = new Alarm();
  /**
   * Closes a peer that still connects; `undefined` until the server shuts down or
   * drains.
   */
  #dismiss: ((peer: ServicePeer) => void) | undefined;
  #drained: Promise<DrainReport> | undefined;

  /**
   * @param service A class, or a definition with its settings.
   * @param settings The settings of a class; unused with a definition.
   * @param limits Limits that the platform overrides.
   * @param ping See {@linkcode Keeper.ping}.
   * @throws {RangeError} A limit is negative or not a number.
   * @throws {TypeError} The service is neither a class nor a definition, an option
   * is of the wrong type, or an origin or a host could never match.
   */
  constructor(
    service: Service<Info>,
    settings: AcceptSettings<unknown, Info> & ClassSettings,
    limits?: Partial<Limits>,
    ping?: Keeper["ping"],
  ) {
    // A definition's `onerror` is called by `report`, too, with `this` undefined.
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
    this.ping = ping;
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

  /** The limits of each single connection. */
  get connectionLimits(): Limits {
    return this.#peerOptions.limits as Limits;
  }

  /** Sets the default of `hosts` by the address that the server listens on. */
  listensOn(hostname: string): void {
    if (this.#options.hosts === undefined && isLoopback(hostname)) {
      this.#hosts = "loopback";
      this.#admittedHost = null;
    }
  }

  /**
   * Whether a request is a handshake, for `admit` to decide about. `false`: it is
   * an ordinary request. A Response: it is a handshake with missing headers or
   * another method than GET, and is refused.
   */
  asks(
    method: string | undefined,
    handshake: Handshake<Info>,
  ): boolean | Response {
    if (isHandshake(method, handshake)) return true;
    // Only a handshake has such a key.
    if (handshake.get("sec-websocket-key") === null) return false;
    if (method === "GET") {
      const why =
        "it has no header Upgrade or Connection that asks for a WebSocket; a proxy before the server must pass both on";
      return this.refuse(handshake, requireUpgrade(), why);
    }
    const answer = refuse(405, "A handshake is a GET", { allow: "GET" });
    return this.refuse(handshake, answer, "its method is another than GET");
  }

  /** Refuses a handshake whose URL and header `Host` differ or can't be parsed. */
  refuseAddress(handshake: Handshake<Info>): Response {
    const why =
      "its address or its header Host can't be read, or they name two hosts";
    return this.refuse(handshake, badRequest(), why);
  }

  /** Refuses a malformed handshake. */
  refuse(handshake: Handshake<Info>, answer: Response, why: string): Response {
    return this.#refuse(handshake, "handshake", answer, why);
  }

  /**
   * Decides about a handshake; a Response refuses it. Never throws or rejects.
   * Returns a promise only if `origins` or `authorize` did.
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

    // Read here, because nothing of the request can be read once it is upgraded.
    const protocol = selectProtocol(handshake, this.#protocols);
    this.#admitting++;
    const candidate = new Candidate(this, address, protocol);
    this.#unknown.add(candidate);
    let answer: unknown;
    try {
      answer = this.#decide(handshake);
    } catch (error) {
      answer = this.#refuseFor(error, handshake);
    }
    return isThenable(answer)
      ? this.#decided(answer, handshake).then((answer) =>
        this.#conclude(answer, handshake, candidate)
      )
      : this.#conclude(answer, handshake, candidate);
  }

  /**
   * The address by which a connection without a known user is counted. `undefined`:
   * it is not counted, because nobody is authorized here, or the address may be a
   * proxy's.
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
   * Closes the oldest connection that has said nothing, among those that aren't
   * counted by address, and says whether there was one. Behind a proxy all clients
   * have its address and all come at once after a deploy, so a share for each
   * address can't protect them from silent connections.
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

  /** The limit that is reached; `undefined`: there is room. */
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

  /** Tells the owner of a refusal, and returns the answer. */
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
   * Makes a new instance for a connection that is still open while its former
   * instance is gone, as after the sleep of a Durable Object; never throws.
   */
  resume(
    socket: Socket,
    context: unknown,
    protocol: string | undefined,
  ): ServicePeer | undefined {
    return this.#accept(socket, context, protocol, undefined, true);
  }

  /** Forgets a peer whose socket is gone. */
  release(gone: object): void {
    const peer = gone as ServicePeer;
    this.peers.delete(peer);
    this.#expected.delete(peer);
    this.#forget(peer);
    if (this.#expected.size === 0) this.#alarm.delete(this);
  }

  /** Tells the owner of an error that belongs to no peer. */
  report(error: unknown): void {
    try {
      const { onerror } = this.#options;
      if (onerror === undefined) return console.error(error);
      const result = (onerror as Owner["onerror"])(error, {});
      if (isThenable(result)) Promise.resolve(result).catch(() => {});
    } catch {
      // An `onerror` that throws can't be told of its own error.
    }
  }

  /** Tells the owner of an error; the client gets 500 without a reason. */
  fail(error: unknown): Response {
    this.report(error);
    return refuse(500, "Internal server error");
  }

  /**
   * Accepts no more connections, and closes each one with 1001; resolves when all
   * are gone.
   */
  async close(): Promise<void> {
    this.#dismiss = (peer): void =>
      this.#close(peer, CloseCode.GoingAway, "Server is shutting down");
    await Promise.all(Array.from(this.peers, (peer) => {
      this.#dismiss!(peer);
      return peer.closed;
    }));
  }

  /**
   * Accepts no more connections, lets running methods finish, and closes each
   * connection with 1012. Takes at most `within`. A second call returns the same
   * promise.
   *
   * @throws {RangeError} `within` or `spread` is negative or not a number.
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
    // After `close`, new peers are dismissed as `close` does it.
    this.#dismiss ??= (peer): void => void leave(peer);
    await Promise.all(Array.from(this.peers, leave));
    callsEnd.clear();
    end.clear();
    return { closed, cut, running };
  }

  /**
   * Whether the header `Host` is admitted. The last one is remembered, since
   * parsing it is a tenth of what a connection costs.
   */
  #admitsHost(head: RequestHead): boolean {
    // Looked at even with `"*"` if the owner's functions see the request: anything
    // after the host, as in "host/path", would become a part of its URL's path.
    const { authorize, origins } = this.#options;
    const isJudged = authorize !== undefined || typeof origins === "function";
    if (this.#hosts === "*" && !isJudged) return true;
    const host = head.get("host");
    if (host !== null && host === this.#admittedHost) return true;
    if (!admitsHost(head, this.#hosts)) return false;
    this.#admittedHost = host;
    return true;
  }

  /** Asks `origins` and `authorize`. */
  #decide(handshake: Handshake<Info>): unknown {
    const isAllowed = admitsOrigin(handshake, this.#options.origins);
    if (!isThenable(isAllowed)) {
      return this.#authorize(isAllowed, handshake, handshake);
    }
    // Read now, because they can't be read any more if the client leaves meanwhile.
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
    // Only `true` admits: a function that returns something else has a mistake.
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

  /** The decision, or a refusal after `authorizationTime`; never rejects. */
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
    handshake: Handshake<Info>,
    candidate: Candidate,
  ): Response | Admission {
    if (this.#dismiss !== undefined && !(answer instanceof Response)) {
      answer = this.#refuseToStay(handshake);
    }
    if (answer instanceof Response) {
      candidate.abandon();
      return this.#told.has(answer) ? answer : this.#refuse(
        handshake,
        "authorize",
        answer,
        "authorize answered it with a Response",
      );
    }
    candidate.context = answer;
    return candidate;
  }

  /** Gives the place of a handshake back. */
  abandon(candidate: Candidate): void {
    if (this.#unknown.delete(candidate)) this.#admitting--;
  }

  /** See {@linkcode Admission.accept}. */
  accept(candidate: Candidate, socket: Socket): ServicePeer | undefined {
    this.abandon(candidate);
    const { context, protocol, address } = candidate;
    return this.#accept(socket, context, protocol, address);
  }

  /**
   * Number of connections without a known user, after those that have a context
   * meanwhile are removed.
   */
  #countUnknown(): number {
    if (this.#unknown.size === 0) return 0;
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

  /**
   * Whether the socket has not opened, or the peer lacks a context that it must
   * have.
   */
  #isNobody(peer: ServicePeer): boolean {
    // Deno (2.9.5) never tells of a client that left during the handshake.
    return peer.ws?.readyState === ReadyState.Connecting ||
      this.#isStranger(peer);
  }

  /**
   * Looks after `authorizationTime` whether the peer is open and has its context.
   */
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

  /** Looks at the peers whose time has come. */
  wake(now: number): void {
    // All have the same span, so the map is in the order of their times.
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

/** A connection whose user is not known yet. */
interface Unknown {
  /** The address that it is counted by; `undefined`: none. */
  readonly address: string | undefined;
  /** Its peer; `undefined` while it is being authorized. */
  readonly peer: ServicePeer | undefined;
  /** The time when it was accepted, of `performance.now()`. */
  readonly since: number;
}

/** The acceptor of a handshake, whatever its platform. */
interface Admitting {
  accept(candidate: Candidate, socket: Socket): ServicePeer | undefined;
  abandon(candidate: Candidate): void;
}

/** A handshake that is being decided about, or was admitted. */
class Candidate implements Unknown, Admission {
  readonly address: string | undefined;
  readonly peer: undefined;
  readonly since = 0;
  readonly protocol: string | undefined;
  /** The peer's context, once it was admitted. */
  context: unknown;
  readonly #acceptor: Admitting;

  constructor(
    acceptor: Admitting,
    address: string | undefined,
    protocol: string | undefined,
  ) {
    this.#acceptor = acceptor;
    this.address = address;
    this.protocol = protocol;
  }

  accept(socket: Socket): ServicePeer | undefined {
    return this.#acceptor.accept(this, socket);
  }

  abandon(): void {
    this.#acceptor.abandon(this);
  }
}

// Milliseconds that a client has for its first message while others want its place.
const mostSilence = 1_000;

/** A timer with a promise, which can be cleared. */
class Timer {
  /** Resolves when the time is over; never if the timer is cleared. */
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

/** The value of a promise if it settles in time, or else `otherwise`. */
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

/**
 * Waits until the socket's buffer is empty, the time is over, or the socket has
 * closed.
 */
async function emptied(peer: ServicePeer, end: Timer): Promise<void> {
  const { ws } = peer;
  while (
    ws?.readyState === ReadyState.Open && !end.hasEnded &&
    ((ws.bufferedAmount ?? 0) > 0 || coreOf(peer)?.backlog?.isHolding)
  ) {
    // Asked again and again, since no socket has an event for it.
    await settled(end.promise, 20, undefined);
  }
}

/** The options of these names that were given. */
function pick(options: object, names: readonly string[]): PeerOptions {
  const picked: { [name: string]: unknown } = {};
  for (const name of names) {
    const value = (options as typeof picked)[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** Names of a server's settings that must be functions. */
const functionNames: readonly string[] = [
  "authorize",
  "onrefuse",
  "addressOf",
  "fetch",
  "onListen",
];

/** Names of a server's settings that are passed on to its peers. */
const settingNames: readonly (keyof PeerSettings)[] = [
  "version",
  "stringErrors",
  "timeout",
  "trace",
  "discover",
];

/** Names of a definition's members that are passed on to the peers. */
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
 * The option `idleTimeout`, in seconds; `undefined` if it isn't set.
 *
 * @throws {RangeError} It is negative or not a number.
 */
export function readIdleTimeout(
  { idleTimeout }: Pick<AcceptSettings<unknown, never>, "idleTimeout">,
): number | undefined {
  return idleTimeout === undefined
    ? undefined
    : readAmount("idleTimeout", idleTimeout, "seconds");
}

/**
 * The limits that `idleTimeout` stands for: half of it until the ping, half for the
 * answer.
 */
export function silenceOf(
  options: Pick<AcceptSettings<unknown, never>, "idleTimeout">,
): Partial<Limits> | undefined {
  const seconds = readIdleTimeout(options);
  if (seconds === undefined) return undefined;
  const half = Math.ceil(500 * seconds);
  return { pingAfter: half, pingWithin: half };
}

/**
 * Most bytes of a frame that a runtime may read; 0: no limit. The peer counts
 * UTF-16 code units, each at most three bytes of UTF-8. At least the length of a
 * frame that short messages share.
 */
export function payloadOf({ messageLength }: Limits): number {
  return messageLength === Infinity
    ? 0
    : Math.min(Math.max(3 * messageLength, usualLength), 0x7fff_ffff);
}

// RFC 6455, section 4.1: 16 bytes in Base64.
const key = /^[+/0-9A-Za-z]{22}==$/;

/** Whether a request has the method and the headers of a handshake. */
export function isHandshake(
  method: string | undefined,
  head: RequestHead,
): boolean {
  return method === "GET" &&
    /^websocket$/i.test(head.get("upgrade") ?? "") &&
    /\bupgrade\b/i.test(head.get("connection") ?? "");
}

/**
 * The first of the server's subprotocols that the client offers; `undefined`: none.
 */
function selectProtocol(
  head: RequestHead,
  protocols: readonly string[],
): string | undefined {
  const offer = head.get("sec-websocket-protocol");
  if (offer === null) return undefined;
  const offered = offer.split(",").map((protocol) => protocol.trim());
  return protocols.find((protocol) => offered.includes(protocol));
}

/** The answer to a request that can't be read. */
export function badRequest(): Response {
  return refuse(400, "Bad request");
}

/** The answer to a request that is no handshake. */
export function requireUpgrade(): Response {
  return refuse(426, "This address speaks JSON-RPC over WebSocket", {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
  });
}

/** The answer to a client that may come again later. */
function unavailable(why: string): Response {
  // A random time, so that not all come at once.
  const seconds = 1 + Math.floor(Math.random() * 10);
  return refuse(503, why, { "retry-after": `${seconds}` });
}

/** An answer with one sentence as its text. */
export function refuse(
  status: number,
  why: string,
  headers: { [name: string]: string } = {},
): Response {
  return new Response(`${why}\n`, { status, headers });
}
