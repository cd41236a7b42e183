/**
 * How much a peer takes and gives before it says no: one number for everything
 * that the other side could make grow.
 *
 * @module
 */

/** The limits of one connection. 0 lifts a limit. */
export interface Limits {
  /**
   * Longest message, in UTF-16 code units (bytes for a binary frame), either
   * way. Default 1,048,576. A longer one that arrives closes the connection
   * with 1009; a longer request rejects its caller, and a longer response is
   * replaced by error -32008.
   */
  readonly messageLength: number;
  /**
   * Most members of a batch, either way. Default 100. A longer one that arrives
   * is answered by one error -32010 and none of it executed; a longer one to be
   * sent throws.
   */
  readonly batchMembers: number;
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
   * Most methods that run for the peer at a time, its notifications' included.
   * Default 1,024. One more request is answered -32009 and not executed; one more
   * notification, which could not be told, runs. A method whose call was cancelled
   * counts until it stops.
   */
  readonly incoming: number;
  /**
   * Milliseconds that a method may take, a sixteenth more at most. Default
   * 120,000. Its request is then answered -32052 and its signal aborts.
   */
  readonly handlerTimeout: number;
  /**
   * Most requests to the peer that wait for their response. Default 1,024. One
   * more rejects with a RangeError and is not sent.
   */
  readonly outgoing: number;
  /**
   * Most streams open for the peer to read. Default 128. One more is refused: a
   * call that returns it with -32006, a call that passes it rejects.
   */
  readonly streams: number;
  /**
   * Most functions and objects lent to the peer at a time. Default 128. One more
   * is refused: a call that returns it with -32006, a call that passes it rejects.
   */
  readonly handles: number;
  /**
   * Most messages that wait for the handshake to be done. Default 1,024. One
   * more request rejects with a RangeError, one more notification is not taken.
   */
  readonly queued: number;
}

/** The limits of a connection that was not told otherwise. */
export const defaultLimits: Limits = {
  messageLength: 1_048_576,
  batchMembers: 100,
  idLength: 128,
  methodLength: 256,
  incoming: 1_024,
  handlerTimeout: 120_000,
  outgoing: 1_024,
  streams: 128,
  handles: 128,
  queued: 1_024,
};

/**
 * Completes limits with the defaults; 0 becomes Infinity, so that a limit is
 * always one comparison.
 *
 * @throws {RangeError} A limit is not a whole number of 0 or more.
 */
export function completeLimits(limits: Partial<Limits> | undefined): Limits {
  if (limits === undefined) return defaultLimits;
  const complete: { -readonly [Name in keyof Limits]: number } = {
    ...defaultLimits,
  };
  for (const name of Object.keys(complete) as (keyof Limits)[]) {
    complete[name] = readLimit(name, limits[name] ?? complete[name]);
  }
  return complete;
}

function readLimit(name: string, limit: number): number {
  if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 0)) {
    throw new RangeError(
      `Cannot set limit ${name}: it must be a whole number of 0 or more, got ${limit}`,
    );
  }
  return limit === 0 ? Infinity : limit;
}

/** The limits of a server, over all of its connections. 0 lifts a limit. */
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
   * Milliseconds that deciding about a connection may take. Default 5,000. Then
   * the request is answered 503; with `requireContext`, a connection that has no
   * context that long after its handshake is closed with 4408.
   */
  readonly authorizationTime: number;
}

/** The limits of a server that was not told otherwise. */
export const defaultAdmissionLimits: AdmissionLimits = {
  connections: 10_000,
  unauthenticated: 500,
  authorizationTime: 5_000,
};

/**
 * Completes a server's limits with the defaults; 0 becomes Infinity.
 *
 * @throws {RangeError} A limit is not a whole number of 0 or more.
 */
export function completeAdmissionLimits(
  limits: Partial<AdmissionLimits> = {},
): AdmissionLimits {
  const complete: { -readonly [Name in keyof AdmissionLimits]: number } = {
    ...defaultAdmissionLimits,
  };
  for (const name of Object.keys(complete) as (keyof AdmissionLimits)[]) {
    complete[name] = readLimit(name, limits[name] ?? complete[name]);
  }
  return complete;
}
