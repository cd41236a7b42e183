/**
 * The requests that wait for a response, by id; and the messages that wait to be
 * sent, in their order.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

/**
 * What the params of a request lend to the peer: counted among what is lent once
 * the request is sent.
 */
export interface Loan {
  streams: number;
  references: number;
  /** Whether it was sent. */
  isOut: boolean;
  /** The request, from when there is one until it is settled. */
  pending: Pending | undefined;
  /** How many questions about it this side still has to answer. */
  asked: number;
}

/** A request that waits for its response. */
export interface Pending {
  readonly id: number;
  readonly method: string;
  readonly timeout: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** When it is given up, in milliseconds of the monotonic clock. */
  deadline: number;
  readonly onprogress: ((value: unknown) => void) | undefined;
  /** Whether its caller said that it may be executed twice. */
  readonly idempotent: boolean;
  /**
   * What to send once more, if the connection is lost or the peer wants it later;
   * `undefined`: it may not be, or is too long to be kept.
   */
  readonly text: string | undefined;
  /** What its params lend, which only the connection of then knows. */
  readonly loan: Loan | undefined;
  /** Places that it takes among those in flight: 1, of the protocol's own 0. */
  readonly places: number;
  /** Whether it was handed to the socket. */
  sent: boolean;
  /** Whether it was handed to that of an earlier connection. */
  wasSent: boolean;
  settled: boolean;
  /** UTF-16 code units that it has in the queue; 0: it is not there. */
  queued: number;
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
  send(): void;
  /** Rejects its requests. */
  reject(error: unknown): void;
}

/** Whether something is still to be sent. */
export function isWanted({ pending, batch }: Entry): boolean {
  return batch === undefined
    ? pending?.settled !== true
    : batch.members.some(isWanted);
}

/** The messages of what waits. */
export function messagesOf(entry: Entry): readonly Entry[] {
  return entry.batch?.members ?? [entry];
}

const none: Entry[] = [];

// So many that were given up are worth no copy.
const mostGivenUp = 1_024;

/** Entries in their order. To join and to go cost the same however many there are. */
export class Row {
  // None, until the first one: most peers never have to wait.
  #joined = none;
  /** Those that stand before them, the first one last. */
  #going = none;

  /** The first entry that is still to be sent; those before it are let go of. */
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

  /** Takes the first entry out, wanted or not; `undefined`: there is none. */
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

  /** Whether it has none, wanted or not. */
  get isEmpty(): boolean {
    return this.#turn().length === 0;
  }

  /** All, also those that were given up. */
  rest(): Entry[] {
    return [...this.#going].reverse().concat(this.#joined);
  }

  /** Those that are still to be sent. */
  all(): Entry[] {
    return this.rest().filter(isWanted);
  }

  /** Lets go of those that were given up. */
  tidy(): void {
    this.#joined = this.all();
    this.#going = none;
  }

  clear(): void {
    this.#joined = this.#going = none;
  }
}

/**
 * Messages that wait to be sent, in their order; and aside of them, so that they
 * hold up nobody else, the calls that wait for what was lent to be let go of. To
 * join, to go and to be given up cost the same however many there are.
 */
export class Queue {
  /** How many messages wait, each member of a batch; without those given up. */
  size = 0;
  /** Their UTF-16 code units. */
  length = 0;
  /** Whether its first ones are being sent. */
  isMoving = false;
  /** Whether it waits for a hook: what passes meanwhile overtakes it. */
  isHeld = false;
  readonly #all = new Row();
  /** What may pass while the others are held, and waits for a place. */
  #passing: Row | undefined;
  #aside: Row | undefined;
  /** How many messages were given up since it was last tidied. */
  #left = 0;

  /** The first entry that is still to be sent, of those that may go. */
  get first(): Entry | undefined {
    return this.isHeld ? this.#passing?.first : this.#all.first;
  }

  /** The first of those that wait aside. */
  get firstAside(): Entry | undefined {
    return this.#aside?.first;
  }

  /** Those that wait for the hook, or for their turn. */
  get others(): Entry[] {
    return this.#all.all();
  }

  /** Whether what is sent now overtakes nobody. */
  isPassable(lends: boolean): boolean {
    return this.size === 0 ||
      this.first === undefined && !(lends && this.firstAside !== undefined);
  }

  /** @param passes Whether it may go while others are held. */
  push(entry: Entry, passes = false): void {
    this.#row(passes).push(entry);
    this.#count(entry);
  }

  /** Lets entries go before all others. */
  putFirst(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#row(true).putFirst(entries);
    for (const entry of entries) this.#count(entry);
  }

  /** Lets the first one wait aside. */
  setAside(): void {
    (this.#aside ??= new Row()).push(this.first!);
    this.#row(true).shift();
  }

  /** Takes the first one out, or the first of those aside. */
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

  /** Lets all that are held pass, but some; returns the first of these others. */
  passOthers(some: ReadonlySet<Entry>): Entry | undefined {
    const all = this.others;
    const others = all.filter((entry) => !some.has(entry));
    if (others.length > 0) {
      this.#all.clear();
      this.#all.putFirst(all.filter((entry) => some.has(entry)));
      for (const entry of others) this.#row(true).push(entry);
    }
    return others[0];
  }

  /** Holds nobody any more. */
  release(): void {
    this.isHeld = false;
    if (this.#passing !== undefined) this.#all.putFirst(this.#passing.all());
    this.#passing = undefined;
  }

  /** A request was given up. */
  leave(pending: Pending): void {
    this.#uncount(pending.queued);
    pending.queued = 0;
    this.#left++;
    if (this.size === 0) this.clear();
    else if (this.#left > mostGivenUp && this.#left > this.size) {
      this.#all.tidy();
      this.#passing?.tidy();
      this.#aside?.tidy();
      this.#left = 0;
    }
  }

  clear(): void {
    this.size = this.length = this.#left = 0;
    this.#all.clear();
    this.#passing = this.#aside = undefined;
  }

  #row(passes: boolean): Row {
    return passes && this.isHeld ? this.#passing ??= new Row() : this.#all;
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
  #nextId: number;
  readonly #queue: Queue;
  /** Places of those that were sent. */
  inFlight = 0;

  /**
   * @param queue Where those wait that were not sent.
   * @param firstId The first one's id.
   */
  constructor(queue: Queue = new Queue(), firstId = 1) {
    this.#queue = queue;
    this.#nextId = firstId;
  }

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

  /** By its id, or by the text of it, which is all that some peers can give back. */
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

  /** Whether some request has or had an id. */
  hasHad(id: unknown): boolean {
    const number = typeof id === "string" ? +id : id as number;
    return Number.isInteger(number) && number >= 1 && number < this.#nextId;
  }

  /**
   * Takes a request out: whoever takes it settles it, and says whether with a
   * result.
   */
  take(id: unknown, succeeded = false): Pending | undefined {
    const pending = this.get(id);
    if (pending !== undefined) this.remove(pending, succeeded);
    return pending;
  }

  /** Does so with a request that is known to wait. */
  remove(pending: Pending, succeeded: boolean): void {
    this.#slots[pending.id & (this.#slots.length - 1)] = undefined;
    this.#size--;
    pending.settled = true;
    if (pending.sent) this.inFlight -= pending.places;
    else if (pending.queued > 0) this.#queue.leave(pending);
    // What outlives the call doesn't keep it.
    if (pending.loan !== undefined) pending.loan.pending = undefined;
    pending.release?.(succeeded);
    // What was made for a crowd is not kept for the few that come after it.
    if (this.#size === 0 && this.#slots.length > mostSlots) {
      this.#slots = noSlots;
    }
  }

  /** Notes whether a request is with the socket. */
  mark(pending: Pending, sent: boolean): void {
    if (pending.sent === sent || pending.settled) return;
    pending.sent = sent;
    this.inFlight += sent ? pending.places : -pending.places;
  }

  /**
   * Looks for the requests that are due, the oldest first.
   *
   * @param due Where to put them.
   * @returns When the next one is due; Infinity: none is.
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

  /** All that wait, the oldest first. */
  all(): Pending[] {
    if (this.#size === 0) return [];
    return this.#slots.filter((pending) => pending !== undefined)
      .sort(byAge);
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

function byAge(left: Pending, right: Pending): number {
  return left.id - right.id;
}

function following(id: number): number {
  return id === 0x7fff_ffff ? 1 : id + 1;
}
