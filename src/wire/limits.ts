/**
 * The limits of a peer: one number for everything that the other side could make
 * grow.
 *
 * @module
 */

import { nameOf } from "./amount.ts";

/** The limits of one connection. 0 is zero, `Infinity` is no limit. */
export interface Limits {
  /**
   * Longest message that arrives, in UTF-16 code units (bytes for a binary frame).
   * Default 1,048,576; of a peer that makes its sockets 67,108,864, because it chose
   * its server. A longer response rejects its call with a RangeError. Anything else
   * that is longer closes the connection with 1009; of a peer that makes its sockets
   * it is dropped, and a request answered -32007. Messages that share a frame may
   * have 16,384 together, whatever the limit.
   */
  readonly messageLength: number;
  /**
   * Longest message that is sent, in UTF-16 code units: what the other side takes.
   * Default 1,048,576, on a server 67,108,864; where `messageLength` is given, at
   * least as much as that. A longer request rejects its caller, a longer notification
   * throws, and a longer response is replaced by error -32008. Answers that wait for
   * slower members of their batches may have as many together; one more is likewise
   * replaced. Where those of all connections in a process are 134,217,728 together,
   * one that has more than 65,536 has too many.
   */
  readonly sentLength: number;
  /**
   * Deepest nesting of a message that arrives: arrays and objects within each
   * other, the message and its batch included. Default 64; of a peer that makes its
   * sockets 1,000, looked for in the first 1,048,576 characters. A deeper response
   * rejects its call with a RangeError; anything else that is deeper is answered
   * -32600 before anything is built of it, under its id where that stands at one of
   * its ends; by a peer that makes its sockets only if it is a request.
   */
  readonly depth: number;
  /**
   * Most members of a batch, either way. Default 100. A longer one that arrives
   * is answered by one error -32010 and none of it executed; a longer one to be
   * sent leaves in several frames.
   */
  readonly batchMembers: number;
  /**
   * Most messages of a frame that arrives where frames are shared. Default 1,024.
   * One with more is answered by one error -32010 and none of it executed. Peers
   * of this library send up to 256.
   */
  readonly frameMembers: number;
  /**
   * Longest string id of a request that arrives, in UTF-16 code units. Default
   * 128. A longer one is answered -32600 with id null.
   */
  readonly idLength: number;
  /**
   * Longest method name that arrives, in UTF-16 code units. Default 256. A
   * longer one is answered -32600.
   */
  readonly methodLength: number;
  /**
   * Messages that the peer may send in a second, beyond a burst; the members of
   * a batch count each. Default `Infinity`: none is cut for being fast. One more
   * request is answered -32005 and not executed, with `data.retryAfterMs`, for
   * which peers of this library wait and send it again; one more notification is
   * dropped, and told to {@linkcode Peer.onerror}, the first of a row. Who goes on
   * regardless, at more than three times the rate, is closed with 4429. Responses
   * to requests of this side and questions for a stream's next values, which
   * follow each other's answers, are not counted.
   */
  readonly messageRate: number;
  /**
   * Messages that the peer may send at once after a rest, where there is a
   * `messageRate`. Default 2,000. As many, and 1,024 more, are refused before that
   * closes the connection.
   */
  readonly messageBurst: number;
  /**
   * Most messages within `invalidWindow` that are no JSON-RPC and that
   * {@linkcode Peer.oninvalid} doesn't take. Default 20 on a server, `Infinity`
   * elsewhere. One more closes the connection with 4400.
   */
  readonly invalidMessages: number;
  /** Milliseconds for which an invalid message counts. Default 10,000. */
  readonly invalidWindow: number;
  /**
   * Most methods that run for the peer at a time, its notifications' included.
   * Default 1,024. One more call waits for one of them to end, in order, as much
   * as `held` allows; where that is 0, one more request is answered -32009 and not
   * executed. A method whose call was cancelled counts until it stops. Functions
   * and objects that were lent to the peer are counted by themselves, and don't
   * wait: one more request is answered -32009.
   */
  readonly incoming: number;
  /**
   * UTF-16 code units of all that arrived and waits for its turn, 1,024 more for
   * each message. Default 16,777,216.
   *
   * Calls beyond `incoming` wait: one request too many is answered -32009 and not
   * executed, one notification too many is dropped, and told to
   * {@linkcode Peer.onerror}, the first of a row; how many notifications wait when
   * their connection ends, too. And on a server a connection waits
   * that sends faster than it has its turns among the others: in its socket where
   * that can be paused (those of `ws`), else here, and one message too many closes
   * it with 4429.
   *
   * Where those of all connections in a process are 134,217,728 together, one that
   * has more than 65,536 has too many.
   */
  readonly held: number;
  /**
   * Milliseconds that a method may go without a sign of life, a sixteenth more at
   * most: progress that it tells, values of a stream that it was given, a call to
   * what it was lent, begun or answered. Default `Infinity`. Its request is then
   * answered -32052, its signal aborts, and the streams among its arguments end. As
   * many that run on all the same as may be `incoming` have their places taken by
   * others, no more.
   */
  readonly handlerTimeout: number;
  /**
   * Most requests to the peer that are in flight: sent and not answered. Default
   * 1,024. One more waits for its turn, within its time-out, and with it what is
   * called after it; `queued` and `queuedLength` say how many may. Calls to what the
   * peer lent have as many places of their own, questions for a stream's values
   * need none.
   */
  readonly outgoing: number;
  /**
   * Most streams open for the peer to read. Default 1,024. A call that passes one
   * more waits for its turn until one has ended; a result that is one more waits
   * likewise, and is refused with -32006 where none has ended for 10 seconds.
   *
   * As many of the peer's are taken, see `references`.
   */
  readonly streams: number;
  /**
   * Most functions and objects lent to the peer at a time. Default 1,024. A call
   * that passes one more waits for its turn until one is let go of; a result that
   * is one more is refused with -32006.
   *
   * As many of the peer's are taken in one frame, and among the arguments of methods
   * that run: a call that brings more is answered -32006 and not executed, an answer
   * that does rejects its call.
   */
  readonly references: number;
  /**
   * Most messages that wait to be sent: for a connection, or for their turn among
   * the requests in flight. Default 65,536. One more request rejects with a
   * RangeError, one more notification is not taken.
   */
  readonly queued: number;
  /**
   * Most UTF-16 code units of all the messages that wait to be sent. Default
   * 16,777,216, on a server 67,108,864; at least one message of `sentLength`. One
   * more request rejects with a RangeError, one more notification is not taken.
   */
  readonly queuedLength: number;
  /**
   * Bytes in the socket's `bufferedAmount` beyond which nothing is added to them.
   * Default 1,048,576; looked at every 65,536 characters that are sent. What is
   * sent meanwhile waits on this side, in order; see {@linkcode Peer.drained}.
   */
  readonly buffered: number;
  /**
   * Milliseconds in which a peer that has more than `buffered` to read must read
   * something: 65,536 bytes. Default 10,000, and as many times that as the longest
   * message in the socket is longer than half of `buffered`. Who doesn't is closed with
   * 4008, and no other notices. Who reads on is never too slow.
   */
  readonly bufferedTime: number;
  /**
   * Most UTF-16 code units of the messages that wait on this side because of
   * `buffered`. Default 67,108,864, on a server 134,217,728; at least two messages
   * of `sentLength`. A request beyond that rejects with a RangeError and is not sent;
   * anything else, whose loss could not be told, closes the connection with 4008.
   */
  readonly bufferedMost: number;
  /**
   * Most milliseconds of silence before the peer is asked for a sign of life: by
   * the WebSocket's own ping, or where the socket has none by a request `rpc.ping`
   * who is known to answer it (PROTOCOL.md, "Liveness"). Default 25,000, with which
   * it is asked after 17,500 or more. `Infinity`: never.
   *
   * Any message that arrives whole is a sign of life, whatever it says; one that
   * takes longer than both times to arrive looks like silence.
   */
  readonly pingAfter: number;
  /**
   * Milliseconds that a peer has for a sign of life once it was asked. Default
   * 10,000. After that the connection is closed with 4009, so that its death is
   * known within both times together, 35 seconds. After the process slept or was
   * busy, the peer is given this time again first; so is one, unless it shares
   * frames, that may be busy with a call. Who goes on speaking without ever
   * answering a ping stays. `Infinity`: the connection stays.
   */
  readonly pingWithin: number;
}

const usualLength = 1_048_576;

/** What is read of a peer that was chosen, and what may be sent by it. */
const trustedLength = 67_108_864;

/** The limits that every peer has, also the small one. */
export const coreLimits: Pick<
  Limits,
  | "messageLength"
  | "sentLength"
  | "idLength"
  | "methodLength"
  | "incoming"
  | "outgoing"
  | "streams"
  | "references"
  | "queued"
  | "queuedLength"
> = {
  messageLength: usualLength,
  sentLength: usualLength,
  idLength: 128,
  methodLength: 256,
  incoming: 1_024,
  outgoing: 1_024,
  streams: 1_024,
  references: 1_024,
  queued: 65_536,
  queuedLength: 16_777_216,
};

/**
 * Those of a small peer that makes its sockets. Who chose his server has no enemy
 * there: it reads whatever is sent, and runs whatever is called.
 */
export const coreClientLimits: typeof coreLimits = /* @__PURE__ */ complement({
  messageLength: Infinity,
  incoming: Infinity,
}, coreLimits);

/**
 * The limits of a peer that was given a socket and was not told otherwise.
 *
 * Who it speaks with is not known, but there may be any number of
 * `invalidMessages`.
 */
export const defaultLimits: Limits = /* @__PURE__ */ complement({
  depth: 64,
  held: 16_777_216,
  batchMembers: 100,
  frameMembers: 1_024,
  messageRate: Infinity,
  messageBurst: 2_000,
  invalidMessages: Infinity,
  invalidWindow: 10_000,
  handlerTimeout: Infinity,
  buffered: 1_048_576,
  bufferedTime: 10_000,
  bufferedMost: 67_108_864,
  pingAfter: 25_000,
  pingWithin: 10_000,
}, coreLimits);

/**
 * The limits of a peer that makes its sockets, a client, and was not told otherwise.
 *
 * Who chose his server has no enemy there: as {@linkcode defaultLimits}, but messages
 * of 64 MiB and 1,000 levels are read.
 */
export const clientLimits: Limits = /* @__PURE__ */ complement({
  messageLength: trustedLength,
  depth: 1_000,
}, defaultLimits);

/**
 * The limits of a connection that a server accepted and was not told otherwise.
 *
 * Anybody may have opened it: as {@linkcode defaultLimits}, but 20
 * `invalidMessages`. What clients read may be sent.
 */
export const serverLimits: Limits = /* @__PURE__ */ complement({
  sentLength: trustedLength,
  queuedLength: trustedLength,
  bufferedMost: 134_217_728,
  invalidMessages: 20,
}, defaultLimits);

/**
 * Joins limits; a function, so that a bundler can leave out what nobody reads. It can't
 * where one of them is calculated.
 */
function complement<Some, Others>(some: Some, others: Others): Some & Others {
  return { ...others, ...some };
}

const complete = /* @__PURE__ */ new WeakSet<object>([
  defaultLimits,
  clientLimits,
  serverLimits,
]);

/**
 * Completes limits with the defaults, which follow each other. Complete limits stay
 * the object they are, since a server's connections share one.
 *
 * @throws {RangeError} A limit is not a whole number of 0 or more.
 */
export function completeLimits(
  limits: Partial<Limits> | undefined,
  defaults: Limits = defaultLimits,
): Limits {
  if (limits === undefined) return defaults;
  if (complete.has(limits)) return limits as Limits;
  const completed: { -readonly [Name in keyof Limits]: number } = {
    ...defaults,
  };
  for (const name of Object.keys(completed) as (keyof Limits)[]) {
    completed[name] = readLimit(name, limits[name] ?? completed[name]);
  }
  /** A limit that was not given is at least as much as what depends on it. */
  const follow = (name: keyof Limits, least: number): void => {
    if (limits[name] === undefined && completed[name] < least) {
      completed[name] = least;
    }
  };
  follow("sentLength", limits.messageLength ?? 0);
  follow("queuedLength", completed.sentLength);
  follow("bufferedMost", 2 * completed.sentLength);
  complete.add(completed);
  return completed;
}

function readLimit(name: string, limit: number): number {
  if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 0)) {
    throw new RangeError(
      `Cannot set limit ${name}: it must be a whole number of 0 or more, got ${
        nameOf(limit)
      }`,
    );
  }
  return limit;
}

/**
 * The limits of a server, over all of its connections. 0 is zero, `Infinity` is no
 * limit.
 */
export interface AdmissionLimits {
  /**
   * Most connections at a time, those that are being authorized and those that
   * are being closed included. Default 10,000. One more is answered 503.
   */
  readonly connections: number;
  /**
   * Most connections at a time of which it is not known whose they are: those
   * that are being authorized, and with `requireContext` those that have no
   * context yet. Default 500. One more is answered 503.
   */
  readonly unauthenticated: number;
  /**
   * Most of those of one address. Default 50. One more is answered 503. Loopback and
   * private addresses, which may be a proxy's, have no such share: where there is no
   * more room, the oldest of theirs that has said nothing for a second is closed with
   * 4408 for the next. See `addressOf` of the settings.
   */
  readonly unauthenticatedPerAddress: number;
  /**
   * Milliseconds that deciding about a connection may take. Default 5,000. Then
   * the request is answered 503; with `requireContext`, a connection that has no
   * context that long after its handshake is closed with 4408.
   */
  readonly authorizationTime: number;
  /**
   * Most UTF-16 code units of the messages that wait for slow readers, those of all
   * connections together, as `bufferedMost` is of one. Default 536,870,912; at least as
   * much as `bufferedMost`, where that is given. Beyond that the one for whom most waits
   * is closed with 4008, and then the next.
   */
  readonly bufferedTotal: number;
}

/** The limits of a server that was not told otherwise. */
export const defaultAdmissionLimits: AdmissionLimits = {
  connections: 10_000,
  unauthenticated: 500,
  unauthenticatedPerAddress: 50,
  authorizationTime: 5_000,
  bufferedTotal: 8 * trustedLength,
};

/**
 * Completes a server's limits with the defaults.
 *
 * @throws {RangeError} A limit is not a whole number of 0 or more.
 */
export function completeAdmissionLimits(
  limits: Partial<AdmissionLimits> & { readonly bufferedMost?: number } = {},
): AdmissionLimits {
  const complete: { -readonly [Name in keyof AdmissionLimits]: number } = {
    ...defaultAdmissionLimits,
  };
  for (const name of Object.keys(complete) as (keyof AdmissionLimits)[]) {
    complete[name] = readLimit(name, limits[name] ?? complete[name]);
  }
  const { bufferedMost = 0, bufferedTotal } = limits;
  if (bufferedTotal === undefined && complete.bufferedTotal < bufferedMost) {
    complete.bufferedTotal = bufferedMost;
  }
  return complete;
}
