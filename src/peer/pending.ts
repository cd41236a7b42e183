/**
 * The requests that wait for a response, by id; and the messages that wait for a
 * connection.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

/** A request that waits for its response. */
export interface Pending {
  readonly id: number;
  readonly method: string;
  readonly timeout: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** When it is given up, in milliseconds of the monotonic clock. */
  readonly deadline: number;
  readonly onprogress: ((value: unknown) => void) | undefined;
  /** Whether its caller said that it may be executed twice. */
  readonly idempotent: boolean;
  /** What to send once more if the connection is lost; `undefined`: it may not be. */
  readonly again: string | undefined;
  /** Whether its params carry what only the connection of then knows. */
  readonly lends: boolean;
  /** Whether it was handed to the socket. */
  sent: boolean;
  /** Whether it was handed to that of an earlier connection. */
  wasSent: boolean;
  settled: boolean;
  /** Lets go of the caller's signal, and of what its params lent. */
  release: ((succeeded: boolean) => void) | undefined;
}

/** A message, or a batch that is to be one frame. */
export interface Entry {
  readonly text: string;
  /** The request that it is; a notification waits for nothing. */
  readonly pending: Pending | undefined;
  /** The batch that it is. */
  readonly batch?: QueuedBatch | undefined;
}

/** A batch that waits, and goes without the members that were given up meanwhile. */
export interface QueuedBatch {
  readonly members: readonly Entry[];
  isWanted(): boolean;
  send(): void;
  /** Rejects its requests. */
  reject(error: unknown): void;
}

/** Whether something is still to be sent. */
export function isWanted({ pending, batch }: Entry): boolean {
  return batch === undefined ? pending?.settled !== true : batch.isWanted();
}

/** The messages of an entry. */
export function messagesOf(entry: Entry): readonly Entry[] {
  return entry.batch?.members ?? [entry];
}

const noSlots: undefined[] = [];

/**
 * A table of consecutive ids in slots: an id's slot is its low bits.
 *
 * No Map, whose outgrown tables keep what they held from being collected young:
 * with 64 calls in flight that was a tenth of the client's CPU time
 * (bench/README.md).
 */
export class PendingTable {
  // None, until the first request: most peers of a server never make one.
  #slots: (Pending | undefined)[] = noSlots;
  #size = 0;
  #nextId = 1;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** The id that a request would have now, or soon after. */
  get nextId(): number {
    return this.#nextId;
  }

  /** The id for a request that is about to be added: from 1, below 2^31. */
  takeId(): number {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let id = this.#nextId;
    // Passes by the ids whose slot is another's, who waits for long already.
    while (this.#slots[id & mask] !== undefined) id = following(id);
    this.#nextId = following(id);
    return id;
  }

  add(pending: Pending): void {
    this.#slots[pending.id & (this.#slots.length - 1)] = pending;
    this.#size++;
  }

  get(id: unknown): Pending | undefined {
    if (typeof id !== "number") return undefined;
    const pending = this.#slots[id & (this.#slots.length - 1)];
    return pending?.id === id ? pending : undefined;
  }

  /**
   * Takes a request out: whoever takes it settles it, and says whether with a
   * result.
   */
  take(id: unknown, succeeded = false): Pending | undefined {
    const pending = this.get(id);
    if (pending === undefined) return undefined;
    this.#slots[pending.id & (this.#slots.length - 1)] = undefined;
    this.#size--;
    pending.release?.(succeeded);
    pending.settled = true;
    return pending;
  }

  /** All that wait, the oldest first. */
  all(): Pending[] {
    if (this.#size === 0) return [];
    return this.#slots.filter((pending) => pending !== undefined)
      .sort((left, right) => left.id - right.id);
  }

  #grow(): void {
    const { length } = this.#slots;
    const slots: (Pending | undefined)[] = new Array(length * 2 || 8)
      .fill(undefined);
    // Whose slots differ in few bits, differ in more.
    for (let index = 0; index < length; index++) {
      const pending = this.#slots[index];
      if (pending === undefined) continue;
      slots[pending.id & (slots.length - 1)] = pending;
    }
    this.#slots = slots;
  }
}

function following(id: number): number {
  return id === 0x7fff_ffff ? 1 : id + 1;
}
