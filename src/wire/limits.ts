/**
 * The limits of a peer: a number for everything that the other side could make
 * grow.
 *
 * @module
 */

import { nameOf } from "./amount.ts";

/** The limits of one connection. 0 is zero, `Infinity` is no limit. */
export interface Limits {
  /**
   * Longest message that may arrive, in UTF-16 code units (bytes for a binary
   * frame). Default 1,048,576; for a client 67,108,864, because it chose its
   * server. A longer response rejects its call with a RangeError. Any other longer
   * message closes the connection with 1009; a client drops it instead, and answers
   * a request with -32007. Messages that share a frame may have 16,384 together,
   * whatever the limit.
   */
  readonly messageLength: number;
  /**
   * Longest message that is sent, in UTF-16 code units: the other side's
   * `messageLength`. Default 1,048,576, on a server 67,108,864; at least
   * `messageLength` if that is set. A longer request rejects, a longer notification
   * throws, and a longer response is replaced by error -32008.
   *
   * The answers that wait for slower members of their batches have the same limit
   * together, and beyond it are replaced by -32008, too. If such answers of all
   * connections in the process reach 134,217,728, a connection may have only
   * 65,536.
   */
  readonly sentLength: number;
  /**
   * Deepest nesting of arrays and objects in a message that arrives, counting the
   * message and its batch. Default 64; for a client 1,000, looked for in the first
   * 1,048,576 characters. A deeper response rejects its call with a RangeError. Any
   * other deeper message is answered with -32600 without being parsed, with its id
   * if that is near the beginning or the end; a client answers only requests.
   */
  readonly depth: number;
  /**
   * Most members of a batch, in both directions. Default 100. A longer batch that
   * arrives is answered with one error -32010, and none of it is executed; a longer
   * one to be sent leaves as several.
   */
  readonly batchMembers: number;
  /**
   * Most messages of a shared frame that arrives. Default 1,024. A frame with more
   * is answered with one error -32010, and none of it is executed. Peers of this
   * library send up to 256.
   */
  readonly frameMembers: number;
  /**
   * Longest string id of a request that arrives, in UTF-16 code units. Default 128.
   * A request with a longer one is answered with -32600 and the id null.
   */
  readonly idLength: number;
  /**
   * Longest method name that arrives, in UTF-16 code units. Default 256. A call
   * with a longer one is answered with -32600.
   */
  readonly methodLength: number;
  /**
   * Messages that the other side may send in a second, beyond `messageBurst`; each
   * member of a batch counts. Default `Infinity`: no rate. One request too many is
   * not executed and is answered with -32005 and `data.retryAfterMs`; peers of this
   * library wait that long and send it again. One notification too many is dropped,
   * and the first one of a row is told to {@linkcode Peer.onerror}. A connection
   * that goes on at more than three times the rate is closed with 4429. Responses
   * to this side's requests, and questions for a stream's next values, are not
   * counted. Pings and pongs are, except by Deno's own sockets, which don't tell of
   * them.
   */
  readonly messageRate: number;
  /**
   * Messages that the other side may send at once after a rest, if there is a
   * `messageRate`. Default 2,000. As many and 1,024 more are refused before the
   * connection is closed.
   */
  readonly messageBurst: number;
  /**
   * Most messages within `invalidWindow` that are no JSON-RPC and that
   * {@linkcode Peer.oninvalid} doesn't handle. Default `Infinity`, on a server 20.
   * One more closes the connection with 4400.
   */
  readonly invalidMessages: number;
  /** Milliseconds for which an invalid message counts. Default 10,000. */
  readonly invalidWindow: number;
  /**
   * Most methods that run for the other side at a time, also for notifications.
   * Default 1,024. One more call waits in order until one of them ends, as far as
   * `held` allows; if `held` is 0, one more request is not executed and is answered
   * with -32009. A method whose call was cancelled counts until it ends. Calls to
   * functions and objects that were lent count by themselves and don't wait: one
   * more request is answered with -32009.
   */
  readonly incoming: number;
  /**
   * Most UTF-16 code units of messages that arrived and wait for their turn,
   * counting 1,024 more for each message. Default 16,777,216. Messages wait for two
   * reasons:
   *
   * - Calls beyond `incoming` wait. One request too many is not executed and is
   * answered with -32009; one notification too many is dropped, and the first one
   * of a row is told to {@linkcode Peer.onerror}. So is the number of notifications
   * that wait when their connection ends.
   * - On a server, messages of a connection that sends more than its share of the
   * time wait: in its socket if that can be paused, as those of `ws` can, else in
   * memory, where one message too many closes the connection with 4429.
   *
   * If the messages of all connections in the process reach 134,217,728, a
   * connection may have only 65,536.
   */
  readonly held: number;
  /**
   * Milliseconds that a method may go without a sign of life, at most a sixteenth
   * more. Default `Infinity`. Signs of life are its progress, values of a stream
   * among its arguments, and calls to a reference among them, begun or answered.
   * Afterwards its request is answered with -32052, its signal aborts, and the
   * streams among its arguments end. The method itself can't be stopped: at most
   * `incoming` of such methods give their places to others.
   */
  readonly handlerTimeout: number;
  /**
   * Most requests of this side in flight: sent and not answered. Default 1,024. One
   * more waits, and with it all messages after it, within its time-out and the
   * limits `queued` and `queuedLength`. Calls to functions and objects that the
   * other side lent have as many places of their own; questions for a stream's
   * values need none.
   */
  readonly outgoing: number;
  /**
   * Most open streams that the other side reads. Default 1,024. A call that passes
   * one more waits until one has ended. A result that is one more waits, too, and
   * is replaced by error -32006 if no stream ends for 10 seconds.
   *
   * The same number is accepted of the other side; see `references`.
   */
  readonly streams: number;
  /**
   * Most functions and objects that are lent to the other side at a time. Default
   * 1,024. A call that passes one more waits until one is released; a result with
   * one more is replaced by error -32006.
   *
   * The same number is accepted of the other side, in one frame and among the
   * arguments of all running methods. A call with more is not executed and is
   * answered with -32006; a response with more rejects its call.
   */
  readonly references: number;
  /**
   * Most messages that wait to be sent: for a connection, or for a place among the
   * requests in flight. Default 65,536. One more request rejects with a RangeError;
   * one more notification is not taken.
   */
  readonly queued: number;
  /**
   * Most UTF-16 code units of all messages that wait to be sent. Default
   * 16,777,216, on a server 67,108,864; at least `sentLength`. One more request
   * rejects with a RangeError; one more notification is not taken.
   */
  readonly queuedLength: number;
  /**
   * Bytes of the socket's `bufferedAmount` beyond which no message is handed to it.
   * Default 1,048,576; looked at after every 65,536 characters that are sent.
   * Further messages wait on this side, in order; see {@linkcode Peer.drained}.
   */
  readonly buffered: number;
  /**
   * Milliseconds in which a peer that has more than `buffered` to read must read
   * 65,536 bytes. Default 10,000; multiplied for a message in the socket that is
   * longer than half of `buffered`, by its length in these halves. If it doesn't,
   * the connection is closed with 4008, and no other connection notices. A peer
   * that goes on reading is never too slow.
   */
  readonly bufferedTime: number;
  /**
   * Most UTF-16 code units of the messages that wait on this side because of
   * `buffered`. Default 67,108,864, on a server 134,217,728; at least twice
   * `sentLength`. A request beyond that rejects with a RangeError and is not sent;
   * any other message closes the connection with 4008, since nobody could be told
   * of its loss.
   */
  readonly bufferedMost: number;
  /**
   * Most milliseconds of silence before the other side is pinged: by the
   * WebSocket's own ping; if the socket has none, by a request `rpc.ping`, if the
   * other side is known to answer it (PROTOCOL.md, "Liveness"). Default 25,000,
   * with which the ping is sent after 17,500 or more. `Infinity`: never.
   *
   * Any message that has arrived whole is a sign of life. A message that takes
   * longer than both times to arrive looks like silence.
   */
  readonly pingAfter: number;
  /**
   * Milliseconds that the other side has for a sign of life after a ping. Default
   * 10,000. Then the connection is closed with 4009, so a dead one is found within
   * both times together, 35 seconds. The time begins again if this process slept or
   * was busy, and if the other side may be busy with a call, unless it shares
   * frames. A peer that sends messages but never answers a ping stays connected.
   * `Infinity`: no connection is closed.
   */
  readonly pingWithin: number;
}

const usualLength = 1_048_576;

/** The longest message of a server, which its client has chosen. */
const trustedLength = 67_108_864;

/** The limits that the small peer has, too. */
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
 * The limits of a small client. It has chosen its server, so it reads messages of
 * any length, and runs any number of methods.
 */
export const coreClientLimits: typeof coreLimits = /* @__PURE__ */ complement({
  messageLength: Infinity,
  incoming: Infinity,
}, coreLimits);

/**
 * The default limits of a peer that is given a socket.
 *
 * The other side is not trusted, but may send any number of invalid messages.
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
 * The default limits of a client.
 *
 * It has chosen its server: as {@linkcode defaultLimits}, but messages may have 64
 * MiB and 1,000 levels.
 */
export const clientLimits: Limits = /* @__PURE__ */ complement({
  messageLength: trustedLength,
  depth: 1_000,
}, defaultLimits);

/**
 * The default limits of a server's connection.
 *
 * Anybody may have opened it: as {@linkcode defaultLimits}, but with 20
 * `invalidMessages`, and with messages as long as clients accept.
 */
export const serverLimits: Limits = /* @__PURE__ */ complement({
  sentLength: trustedLength,
  queuedLength: trustedLength,
  bufferedMost: 134_217_728,
  invalidMessages: 20,
}, defaultLimits);

/**
 * Joins limits. In a function, so that a bundler can leave out tables that nobody
 * reads; it couldn't if they were calculated in place.
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
 * Completes limits with the defaults, some of which depend on others. Limits that
 * are complete are returned as they are, since a server's connections share one
 * object.
 *
 * @throws {RangeError} A limit is neither a whole number of 0 or more nor
 * `Infinity`.
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
  /** Raises a limit that was not given to what another one needs. */
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
 * The limits of all connections of a server together. 0 is zero, `Infinity` is no
 * limit.
 */
export interface AdmissionLimits {
  /**
   * Most connections at a time, including those that are being authorized or
   * closed. Default 10,000. One more gets 503.
   */
  readonly connections: number;
  /**
   * Most connections at a time whose user is not known yet: those that are being
   * authorized, and with `requireContext` those without a context. Default 500. One
   * more gets 503.
   */
  readonly unauthenticated: number;
  /**
   * Most of these connections from one address. Default 50. One more gets 503.
   * Loopback and private addresses are not limited, since they may be a proxy's;
   * instead, when `unauthenticated` is reached, the oldest of their connections
   * that has sent nothing for a second is closed with 4408, for the next one. See
   * the setting `addressOf`.
   */
  readonly unauthenticatedPerAddress: number;
  /**
   * Milliseconds that `authorize` and `origins` may take. Default 5,000. Then the
   * request gets 503. With `requireContext`, also the time after the handshake
   * after which a connection without a context is closed with 4408.
   */
  readonly authorizationTime: number;
  /**
   * Most UTF-16 code units of the messages that wait for slow readers on all
   * connections together; `bufferedMost` is the limit of one. Default 536,870,912;
   * at least `bufferedMost` if that is set. Beyond it, the connection for which
   * most waits is closed with 4008, and then the next.
   */
  readonly bufferedTotal: number;
}

/** The default limits of a server. */
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
 * @throws {RangeError} A limit is neither a whole number of 0 or more nor
 * `Infinity`.
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
