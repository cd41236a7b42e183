/**
 * The table of requests that wait for a response, and the queue of messages that
 * wait to be sent.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

/**
 * The streams and references in the params of a request. They count once the
 * request is sent.
 */
export interface Loan {
  streams: number;
  references: number;
  /** Whether the request was sent. */
  isOut: boolean;
  /** The request; `undefined` before it is made, and after it is settled. */
  pending: Pending | undefined;
  /** Number of questions about them that this side has not answered yet. */
  asked: number;
}

/** A request that waits for its response. */
export interface Pending {
  readonly id: number;
  readonly method: string;
  readonly timeout: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The time when it is given up, of `performance.now()`. */
  deadline: number;
  readonly onprogress: ((value: unknown) => void) | undefined;
  /** Whether it may be executed twice. */
  readonly idempotent: boolean;
  /**
   * The text to send again, after a lost connection or a refusal by the rate;
   * `undefined`: it may not be sent again, or is too long to be kept.
   */
  readonly text: string | undefined;
  /**
   * The streams and references in its params, which are valid only on the
   * connection that it was made for.
   */
  readonly loan: Loan | undefined;
  /** Its places among the requests in flight: 1; 0 for the protocol's own. */
  readonly places: number;
  /** Whether it was handed to the present socket. */
  sent: boolean;
  /** Whether it was handed to an earlier connection's socket. */
  wasSent: boolean;
  settled: boolean;
  /** Its UTF-16 code units in the queue; 0: it isn't in the queue. */
  queued: number;
  /** Removes the listener to the signal, and releases the loan. */
  release: ((succeeded: boolean) => void) | undefined;
}

/** An entry of the queue: a message or a batch. */
export interface Entry {
  readonly text: string;
  /** The request; `undefined` for a notification or a batch. */
  readonly pending: Pending | undefined;
  /** The batch; `undefined` for a message. */
  readonly batch?: QueuedBatch | undefined;
}

/** A batch in the queue. Members that are given up meanwhile are left out. */
export interface QueuedBatch {
  readonly members: readonly Entry[];
  send(): void;
  /** Rejects its requests. */
  reject(error: unknown): void;
}

/** Whether an entry is still to be sent. */
export function isWanted({ pending, batch }: Entry): boolean {
  return batch === undefined
    ? pending?.settled !== true
    : batch.members.some(isWanted);
}

/** The messages of an entry. */
export function messagesOf(entry: Entry): readonly Entry[] {
  return entry.batch?.members ?? [entry];
}

const none: Entry[] = [];

// Entries that were given up are removed only if there are more of them.
const mostGivenUp = 1_024;

/**
 * A row of entries, first in, first out. Adding and removing take constant time.
 */
export class Row {
  // Shared and empty until the first entry: most peers never have one.
  #joined = none;
  /** The entries before these, in reverse order. */
  #going = none;

  /** The first entry that is still to be sent; entries before it are removed. */
  get first(): Entry | undefined {
    let entry: Entry | undefined;
    while ((entry = this.#turn().at(-1)) !== undefined && !isWanted(entry)) {
      this.#going.pop();
    }
    return entry;
  }

  push(entry: Entry): void {
    if (this.#joined === none) this.#joined = [];
    this.#joined.push(entry);
  }

  putFirst(entries: readonly Entry[]): void {
    this.#going = this.#going.concat([...entries].reverse());
  }

  /**
   * Removes the first entry, even one that was given up; `undefined`: the row is
   * empty.
   */
  shift(): Entry | undefined {
    return this.#turn().pop();
  }

  #turn(): Entry[] {
    if (this.#going.length === 0) {
      this.#going = this.#joined.reverse();
      this.#joined = none;
    }
    return this.#going;
  }

  /** Whether it has no entry, not even one that was given up. */
  get isEmpty(): boolean {
    return this.#turn().length === 0;
  }

  /** All entries, also those that were given up. */
  rest(): Entry[] {
    return [...this.#going].reverse().concat(this.#joined);
  }

  /** The entries that are still to be sent. */
  all(): Entry[] {
    return this.rest().filter(isWanted);
  }

  /** Removes the entries that were given up. */
  tidy(): void {
    this.#joined = this.all();
    this.#going = none;
  }

  clear(): void {
    this.#joined = this.#going = none;
  }
}

/**
 * The queue of messages that wait to be sent, in their order. Calls that wait until
 * streams or references are released are set aside, so that they don't hold up
 * others. Adding, removing and giving up take constant time.
 */
export class Queue {
  /**
   * Number of waiting messages, counting each member of a batch, without those
   * given up.
   */
  size = 0;
  /** Their UTF-16 code units. */
  length = 0;
  /** Whether `advance` is sending its first ones. */
  isMoving = false;
  /** Whether all wait for a hook, except those that pass. */
  isHeld = false;
  // Made with the first entry: most peers never have one.
  #all: Row | undefined;
  /** The entries that may pass while others are held, and wait for a place. */
  #passing: Row | undefined;
  #aside: Row | undefined;
  /** Number of messages that were given up since the last tidying. */
  #left = 0;

  /** The first entry that may be sent. */
  get first(): Entry | undefined {
    return (this.isHeld ? this.#passing : this.#all)?.first;
  }

  /** The first entry that was set aside. */
  get firstAside(): Entry | undefined {
    return this.#aside?.first;
  }

  /** The entries that wait for the hook, or for their turn. */
  get others(): Entry[] {
    return this.#all?.all() ?? [];
  }

  /** Whether a message that is sent now overtakes no other. */
  isPassable(lends: boolean): boolean {
    return this.size === 0 ||
      this.first === undefined && !(lends && this.firstAside !== undefined);
  }

  /** @param passes Whether it may be sent while others are held. */
  push(entry: Entry, passes = false): void {
    this.#row(passes).push(entry);
    this.#count(entry);
  }

  /** Puts entries before all others. */
  putFirst(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#row(true).putFirst(entries);
    for (const entry of entries) this.#count(entry);
  }

  /** Sets the first entry aside. */
  setAside(): void {
    (this.#aside ??= new Row()).push(this.first!);
    this.#row(true).shift();
  }

  /** Removes the first entry, or the first one that was set aside. */
  shift(isAside = false): void {
    const row = isAside ? this.#aside! : this.#row(true);
    for (const { pending, text } of messagesOf(row.first!)) {
      if (pending === undefined) this.#uncount(text.length);
      else if (pending.queued > 0) {
        this.#uncount(pending.queued);
        pending.queued = 0;
      }
    }
    if (this.size === 0) this.clear();
    else row.shift();
  }

  /**
   * Lets all held entries pass, except `some`; returns the first one that passes.
   */
  passOthers(some: ReadonlySet<Entry>): Entry | undefined {
    const all = this.others;
    const others = all.filter((entry) => !some.has(entry));
    if (others.length > 0) {
      this.#all!.clear();
      this.#all!.putFirst(all.filter((entry) => some.has(entry)));
      for (const entry of others) this.#row(true).push(entry);
    }
    return others[0];
  }

  /** Lets all entries pass. */
  release(): void {
    this.isHeld = false;
    if (this.#passing === undefined) return;
    (this.#all ??= new Row()).putFirst(this.#passing.all());
    this.#passing = undefined;
  }

  /** Counts a request that was given up. */
  leave(pending: Pending): void {
    this.#uncount(pending.queued);
    pending.queued = 0;
    this.#left++;
    if (this.size === 0) this.clear();
    else if (this.#left > mostGivenUp && this.#left > this.size) {
      this.#all?.tidy();
      this.#passing?.tidy();
      this.#aside?.tidy();
      this.#left = 0;
    }
  }

  clear(): void {
    this.size = this.length = this.#left = 0;
    this.#all = this.#passing = this.#aside = undefined;
  }

  #row(passes: boolean): Row {
    return passes && this.isHeld
      ? this.#passing ??= new Row()
      : this.#all ??= new Row();
  }

  #count(entry: Entry): void {
    for (const { pending, text } of messagesOf(entry)) {
      if (pending?.settled === true) continue;
      this.size++;
      this.length += text.length;
      if (pending !== undefined) pending.queued = text.length;
    }
  }

  #uncount(length: number): void {
    this.size--;
    this.length -= length;
  }
}

const noSlots: undefined[] = [];

const mostSlots = 4_096;

/**
 * The table of requests by id. Ids are consecutive, and an id's low bits are its
 * slot.
 *
 * No Map: its outgrown tables keep old entries from being collected young, with 64
 * calls in flight a tenth of the client's CPU time (bench/README.md).
 */
export class PendingTable {
  // Shared and empty until the first request: most peers of a server never make
  // one.
  #slots: (Pending | undefined)[] = noSlots;
  #size = 0;
  #nextId: number;
  readonly #queue: Queue;
  /** Places of the requests that were sent. */
  inFlight = 0;

  /**
   * @param queue The queue of requests that were not sent.
   * @param firstId The first id.
   */
  constructor(queue: Queue = new Queue(), firstId = 1) {
    this.#queue = queue;
    this.#nextId = firstId;
  }

  /** Number of requests in the table. */
  get size(): number {
    return this.#size;
  }

  /** The id of the next request; a higher one if its slot is taken. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Takes the id for a new request: from 1, below 2^31. */
  takeId(): number {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let id = this.#nextId;
    // Skips ids whose slot has a request that waits for long.
    while (this.#slots[id & mask] !== undefined) id = following(id);
    this.#nextId = following(id);
    return id;
  }

  add(pending: Pending): void {
    this.#slots[pending.id & (this.#slots.length - 1)] = pending;
    this.#size++;
  }

  /**
   * Gets a request by its id, or by the id as a string, as some peers send it back.
   */
  get(id: unknown): Pending | undefined {
    if (typeof id === "string") {
      const number = +id;
      if (`${number}` !== id) return undefined;
      id = number;
    }
    if (typeof id !== "number") return undefined;
    const pending = this.#slots[id & (this.#slots.length - 1)];
    return pending?.id === id ? pending : undefined;
  }

  /** Whether a request has or had this id. */
  hasHad(id: unknown): boolean {
    const number = typeof id === "string" ? +id : id as number;
    return Number.isInteger(number) && number >= 1 && number < this.#nextId;
  }

  /**
   * Removes a request and returns it. The caller of this must settle it, with a
   * result if `succeeded`.
   */
  take(id: unknown, succeeded = false): Pending | undefined {
    const pending = this.get(id);
    if (pending !== undefined) this.remove(pending, succeeded);
    return pending;
  }

  /** Removes a request that is known to be in the table. */
  remove(pending: Pending, succeeded: boolean): void {
    this.#slots[pending.id & (this.#slots.length - 1)] = undefined;
    this.#size--;
    pending.settled = true;
    if (pending.sent) this.inFlight -= pending.places;
    else if (pending.queued > 0) this.#queue.leave(pending);
    // Cleared, because the loan may outlive the call.
    if (pending.loan !== undefined) pending.loan.pending = undefined;
    pending.release?.(succeeded);
    // A large table isn't kept for the few requests that come after it.
    if (this.#size === 0 && this.#slots.length > mostSlots) {
      this.#slots = noSlots;
    }
  }

  /** Notes whether a request was handed to the socket. */
  mark(pending: Pending, sent: boolean): void {
    if (pending.sent === sent || pending.settled) return;
    pending.sent = sent;
    this.inFlight += sent ? pending.places : -pending.places;
  }

  /**
   * Finds the requests that are due, the oldest first.
   *
   * @param due The list that they are added to.
   * @returns The time of the next deadline; Infinity: there is none.
   */
  sweep(now: number, due: Pending[]): number {
    let next = Infinity;
    for (const pending of this.#slots) {
      if (pending === undefined) continue;
      if (pending.deadline <= now) due.push(pending);
      else if (pending.deadline < next) next = pending.deadline;
    }
    due.sort(byAge);
    return next;
  }

  /** All requests in the table, the oldest first. */
  all(): Pending[] {
    if (this.#size === 0) return [];
    return this.#slots.filter((pending) => pending !== undefined)
      .sort(byAge);
  }

  #grow(): void {
    const { length } = this.#slots;
    const slots: (Pending | undefined)[] = new Array(length * 2 || 8)
      .fill(undefined);
    // Ids that differ in their low bits also differ in more bits.
    for (let index = 0; index < length; index++) {
      const pending = this.#slots[index];
      if (pending === undefined) continue;
      slots[pending.id & (slots.length - 1)] = pending;
    }
    this.#slots = slots;
  }
}

function byAge(left: Pending, right: Pending): number {
  return left.id - right.id;
}

function following(id: number): number {
  return id === 0x7fff_ffff ? 1 : id + 1;
}
