/**
 * Readers that are too slow: what this side says faster than the other one reads
 * waits here, message by message, in order; and who reads nothing at all is given up
 * before it costs the memory of all others.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { coreOf } from "../peer/base.ts";
import { cut } from "../peer/life.ts";
import { closedError, entrusted, isClosed, isSending } from "../peer/owner.ts";
import { type Entry, isWanted, messagesOf, Row } from "../peer/pending.ts";
import type { Backlog, Living } from "../peer/seams.ts";
import { hand } from "../peer/sending.ts";
import { abandon, advance, take } from "../peer/waiting.ts";
import { slowConsumer } from "../wire/codes.ts";

/** Lets a peer look how much waits to leave, and hold back what is too much. */
export const slowReaders: CorePart = {
  name: "slowReaders",
  attach(core) {
    const backlog = new PeerBacklog(core);
    core.backlog = backlog;
    core.living.push(backlog);
  },
};

/**
 * How much may be sent between two looks, because to look is a call into the
 * runtime; how much may wait for what is called little; and how much has to leave
 * within `bufferedTime`, or a reader of a byte now and then would never be cut.
 */
const step = 65_536;

// Milliseconds between two looks, which are more and more seldom while nothing
// leaves: there is no event for it.
const mostDelay = 64;
const mostDelayAwaited = 16;

/** The account of what waits for all the readers of a server. */
export class Readers {
  readonly #most: number;
  /** Characters of all. */
  #length = 0;
  readonly #slow: Set<PeerBacklog> = new Set();

  /** @param most How many there may be. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Puts what waits for a peer on the account, from now on. */
  add(peer: object): void {
    const core: Core | undefined = coreOf(peer);
    const backlog = core?.backlog;
    if (backlog instanceof PeerBacklog) backlog.readers = this;
  }

  /** Takes note that so much more waits for one of them, or less. */
  count(backlog: PeerBacklog, length: number): void {
    this.#length += length;
    if (backlog.length > 0) this.#slow.add(backlog);
    else this.#slow.delete(backlog);
  }

  /** Ends those for whom most waits, as long as it is too much. */
  look(): void {
    while (this.#length > this.#most) {
      let slowest: PeerBacklog | undefined;
      for (const one of this.#slow) {
        if (slowest === undefined || one.length > slowest.length) slowest = one;
      }
      slowest!.close(
        `${this.#length} of at most ${this.#most} characters wait for all, see limits.bufferedTotal`,
      );
    }
  }
}

/** What waits in one peer's socket, and for it. */
class PeerBacklog implements Backlog, Living {
  isHolding = false;
  readonly #core: Core;
  readonly #step: number;
  /** Characters that were sent since the last look. */
  #unseen = 0;
  /** Whether more waits in the socket than may be added to. */
  #isFull = false;
  /** What waited in the socket when it was last looked at. */
  #amount = 0;
  /** Since when too little has left. */
  #since = 0;
  /** Bytes that left since then. */
  #left = 0;
  /** The longest message that may be in the socket, if it is longer than a step. */
  #longest = 0;

  /** What is held back. */
  #held: Row | undefined;
  #length = 0;
  /** The account of its server; `undefined`: it has none. */
  readers: Readers | undefined;

  #hasOpened = false;
  /** Who waits until little waits. */
  #drained: Deferred<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer should ring. */
  #due = 0;
  #delay = 1;

  constructor(core: Core) {
    this.#core = core;
    this.#step = Math.min(step, core.limits.buffered);
  }

  /** Characters of what is held back. */
  get length(): number {
    return this.#length;
  }

  #setLength(length: number): void {
    const more = length - this.#length;
    this.#length = length;
    if (more !== 0) this.readers?.count(this, more);
  }

  /** Takes note of what was sent. */
  add(length: number): void {
    this.#unseen += length;
    if (this.#unseen >= this.#step) this.#check(length);
  }

  /** Looks whether the socket has room for more. */
  #check(length: number): void {
    this.#unseen = 0;
    const amount = this.#read();
    if (amount <= this.#core.limits.buffered) {
      this.#longest = 0;
      return;
    }
    this.#amount = amount;
    this.#longest = Math.max(this.#longest, length);
    if (this.#isFull) return;
    this.#isFull = this.isHolding = true;
    this.#since = performance.now();
    this.#left = 0;
    this.#poll(1);
  }

  hasRoom(entry: Entry): boolean {
    if (!this.isHolding) return true;
    let length = 0;
    for (const { text } of messagesOf(entry)) length += text.length;
    return this.#length + length <= this.#core.limits.bufferedMost;
  }

  hold(entry: Entry): boolean {
    const { bufferedMost } = this.#core.limits;
    const { length } = entry.text;
    // Those that were given up meanwhile wait no more.
    if (this.#length + length > bufferedMost) this.#tidy();
    const total = this.#length + length;
    if (total > bufferedMost) {
      const most = `${total} of at most ${bufferedMost} characters`;
      return this.#refuse(entry, `${most} wait to be sent`) ||
        this.close(`${most} wait, see limits.bufferedMost`);
    }
    (this.#held ??= new Row()).push(entry);
    this.#setLength(total);
    this.readers?.look();
    return !isClosed(this.#core);
  }

  /** Rejects what can be: a request, or a batch of them; `false`: it is none. */
  #refuse({ pending, batch }: Entry, why: string): boolean {
    if (pending === undefined && batch === undefined) return false;
    const what = pending === undefined
      ? "batch"
      : `request "${pending.method}"`;
    const error = entrusted(
      this.#core,
      new RangeError(`Cannot send ${what}: ${why}, see limits.bufferedMost`),
    );
    if (pending === undefined) batch!.reject(error);
    else take(this.#core, pending.id)?.reject(error);
    return true;
  }

  #tidy(): void {
    this.#held?.tidy();
    let length = 0;
    for (const { text } of this.#rest()) length += text.length;
    this.#setLength(length);
  }

  /** Sends what was held back, until the socket has no more room. */
  #release(): void {
    this.#isFull = false;
    while (!this.#isFull && this.#held?.isEmpty === false) {
      if (!isSending(this.#core)) return; // The socket is about to tell why.
      const entry = this.#held.shift()!;
      this.#setLength(this.#length - entry.text.length);
      if (isWanted(entry) && !hand(this.#core, entry.text)) this.#fail(entry);
    }
    if (this.#held?.isEmpty) this.#forget();
    this.isHolding = this.#isFull || this.#held !== undefined;
    if (!this.isHolding) advance(this.#core);
  }

  /** The socket did not take it. */
  #fail(entry: Entry): void {
    for (const { pending } of messagesOf(entry)) {
      if (pending === undefined) continue;
      this.#core.pending.mark(pending, false);
      abandon(this.#core, pending, false);
    }
  }

  /** Resolves when little waits. */
  drained(): Promise<void> {
    if (isClosed(this.#core)) return Promise.reject(this.#error());
    if (this.#isLittle()) return Promise.resolve();
    if (this.#drained === undefined) {
      this.#drained = new Deferred();
      this.#poll(1);
    }
    return this.#drained.promise;
  }

  /** A new connection has sent nothing. */
  open(): void {
    this.#hasOpened = true;
    this.#unseen = 0;
  }

  stop(isOpen: boolean): void {
    if (isOpen) {
      // As what the socket has already. Nobody waits for the requests any more.
      for (const { text, pending } of this.#rest()) {
        if (pending === undefined) hand(this.#core, text);
      }
    }
    this.drop();
  }

  drop(): void {
    const requests = this.#rest().filter(isRequest);
    for (const entry of requests) {
      for (const { pending } of messagesOf(entry)) {
        if (pending !== undefined) this.#core.pending.mark(pending, false);
      }
    }
    // They never left, and may go by the next connection.
    this.#core.queue.putFirst(requests);
    this.#forget();
    this.#isFull = this.isHolding = false;
    this.#longest = 0;
    if (this.#drained === undefined) clearTimeout(this.#timer);
  }

  /** Nothing will be sent any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#drained?.reject(this.#error());
  }

  /** What is held back, also what was given up meanwhile. */
  #rest(): readonly Entry[] {
    return this.#held?.rest() ?? [];
  }

  #forget(): void {
    this.#held = undefined;
    this.#setLength(0);
  }

  /** What never opened has sent nothing. */
  #error(): Error {
    return closedError(this.#core, "Cannot drain", this.#hasOpened);
  }

  #poll(delay: number): void {
    clearTimeout(this.#timer);
    this.#delay = delay;
    this.#due = performance.now() + delay;
    this.#timer = setTimeout(() => {
      try {
        this.look();
      } catch (error) {
        this.#core.report(error);
      }
    }, delay);
  }

  /** Looks what has left meanwhile. */
  look(): void {
    const before = this.#amount;
    if (this.#isFull && !this.#progresses()) return;
    if (this.#drained !== undefined && this.#isLittle()) {
      this.#drained.resolve();
      this.#drained = undefined;
    }
    const isAwaited = this.#drained !== undefined;
    if (!this.isHolding && !isAwaited) return;
    const most = isAwaited ? mostDelayAwaited : mostDelay;
    const hasLeft = this.isHolding && this.#amount !== before;
    this.#poll(hasLeft ? 1 : Math.min(2 * this.#delay, most));
  }

  /** Whether a full socket may go on; what there is room for is sent. */
  #progresses(): boolean {
    const { heartbeat, limits: { buffered, bufferedTime } } = this.#core;
    const now = performance.now();
    const amount = this.#read();
    this.#left += Math.max(this.#amount - amount, 0);
    this.#amount = amount;
    // The process slept or was busy, and couldn't send meanwhile.
    const isLate = now - this.#due > bufferedTime / 2;
    if (this.#left >= Math.max(this.#step, 1)) {
      this.#left = 0;
      this.#since = now;
      // Nobody takes what is sent to him without being there.
      if (heartbeat !== undefined) heartbeat.isHeard = true;
    } else if (isLate) this.#since = now;
    if (amount <= buffered) this.#release();
    else if (now - this.#since >= this.#patience()) {
      return this.close(
        `less than ${this.#step} of ${amount} bytes left in ${
          Math.round(now - this.#since)
        } ms, see limits.bufferedTime`,
      );
    }
    return true;
  }

  /**
   * Milliseconds in which something has to leave. A runtime tells that a message has
   * left when all of it has, so a long one is given more time.
   */
  #patience(): number {
    const { buffered, bufferedTime } = this.#core.limits;
    const longest = 2 * this.#longest / Math.max(buffered, step);
    return bufferedTime * Math.max(1, longest);
  }

  #isLittle(): boolean {
    return this.#core.queue.size === 0 && this.#held === undefined &&
      this.#read() <= step;
  }

  /** Bytes that the socket has not sent yet. */
  #read(): number {
    return this.#core.ws?.bufferedAmount ?? 0;
  }

  /** Gives it up. */
  close(why: string): false {
    this.drop();
    cut(this.#core, slowConsumer, `Slow consumer: ${why}`);
    return false;
  }
}

function isRequest({ pending, batch }: Entry): boolean {
  return pending !== undefined || batch !== undefined;
}
