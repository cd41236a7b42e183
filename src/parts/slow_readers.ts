/**
 * Slow readers: messages that the other side doesn't read fast enough wait here, in
 * order, and a connection whose other side reads nothing is closed before it uses
 * up the memory.
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

/**
 * The part that watches the socket's buffer, and holds back messages beyond
 * `buffered`.
 */
export const slowReaders: CorePart = {
  name: "slowReaders",
  attach(core) {
    const backlog = new PeerBacklog(core);
    core.backlog = backlog;
    core.enlist(backlog);
  },
};

/**
 * One amount for three purposes: characters that are sent between two looks at the
 * buffer, since a look is a call into the runtime; bytes that may wait when
 * `drained` resolves; bytes that must leave within `bufferedTime`, or a reader of a
 * byte now and then would never be cut.
 */
const step = 65_536;

// Most milliseconds between two looks, without and with a `drained` that waits.
// There is no event for it; the time doubles while nothing leaves.
const mostDelay = 64;
const mostDelayAwaited = 16;

/** The account of the messages that wait for all slow readers of a server. */
export class Readers {
  readonly #most: number;
  /** Characters of all of them. */
  #length = 0;
  readonly #slow: Set<PeerBacklog> = new Set();

  /** @param most The limit `bufferedTotal`. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Adds a peer to the account. */
  add(peer: object): void {
    const core: Core | undefined = coreOf(peer);
    const backlog = core?.backlog;
    if (backlog instanceof PeerBacklog) backlog.readers = this;
  }

  /** Counts characters that wait more, or less. */
  count(backlog: PeerBacklog, length: number): void {
    this.#length += length;
    if (backlog.length > 0) this.#slow.add(backlog);
    else this.#slow.delete(backlog);
  }

  /**
   * Closes the connections for which most waits, until the rest is within the
   * limit.
   */
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

/** The state of a peer whose messages don't leave at once. */
class Jam {
  /** Whether the socket's buffer has more than `buffered`. */
  isFull = false;
  /** The socket's buffer at the last look. */
  amount = 0;
  /** The time since which too little has left. */
  since = 0;
  /** Bytes that have left since then. */
  left = 0;
  /**
   * The longest message that may be in the socket's buffer, if it is longer than a
   * step.
   */
  longest = 0;

  /** The messages that are held back. */
  held: Row | undefined;
  /** Their characters. */
  length = 0;

  /** The promise of `drained`, while somebody waits for it. */
  drained: Deferred<void> | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** The time when the timer should ring. */
  due = 0;
  delay = 1;
}

/** The messages that wait in one peer's socket, and those held back from it. */
class PeerBacklog implements Backlog, Living {
  next: Living | undefined;
  isHolding = false;
  readonly #core: Core;
  readonly #step: number;
  /** Characters sent since the last look. */
  #unseen = 0;
  // Made for the first full buffer or `drained` that has to wait: few peers have
  // either.
  #jam: Jam | undefined;
  /** The account of the server; `undefined`: this is no server's peer. */
  readers: Readers | undefined;
  #hasOpened = false;

  constructor(core: Core) {
    this.#core = core;
    this.#step = Math.min(step, core.limits.buffered);
  }

  /** Characters that are held back. */
  get length(): number {
    return this.#jam?.length ?? 0;
  }

  #setLength(jam: Jam, length: number): void {
    const more = length - jam.length;
    jam.length = length;
    if (more !== 0) this.readers?.count(this, more);
  }

  /** Counts a message that was sent. */
  add(length: number): void {
    this.#unseen += length;
    if (this.#unseen >= this.#step) this.#check(length);
  }

  /** Looks whether the socket's buffer is full. */
  #check(length: number): void {
    this.#unseen = 0;
    const amount = this.#read();
    if (amount <= this.#core.limits.buffered) {
      if (this.#jam !== undefined) this.#jam.longest = 0;
      return;
    }
    const jam = this.#jam ??= new Jam();
    jam.amount = amount;
    jam.longest = Math.max(jam.longest, length);
    if (jam.isFull) return;
    jam.isFull = this.isHolding = true;
    jam.since = performance.now();
    jam.left = 0;
    this.#poll(jam, 1);
  }

  hasRoom(entry: Entry): boolean {
    if (!this.isHolding) return true;
    let length = 0;
    for (const { text } of messagesOf(entry)) length += text.length;
    return this.length + length <= this.#core.limits.bufferedMost;
  }

  hold(entry: Entry): boolean {
    const { bufferedMost } = this.#core.limits;
    const { length } = entry.text;
    const jam = this.#jam ??= new Jam();
    // Messages of calls that were given up meanwhile are removed first.
    if (jam.length + length > bufferedMost) this.#tidy(jam);
    const total = jam.length + length;
    if (total > bufferedMost) {
      const most = `${total} of at most ${bufferedMost} characters`;
      return this.#refuse(entry, `${most} wait to be sent`) ||
        this.close(`${most} wait, see limits.bufferedMost`);
    }
    (jam.held ??= new Row()).push(entry);
    this.#setLength(jam, total);
    this.readers?.look();
    return !isClosed(this.#core);
  }

  /**
   * Rejects a request or a batch; `false`: it is a notification or an answer, which
   * can't be rejected.
   */
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

  #tidy(jam: Jam): void {
    jam.held?.tidy();
    let length = 0;
    for (const { text } of this.#rest()) length += text.length;
    this.#setLength(jam, length);
  }

  /** Sends messages that were held back, until the socket's buffer is full. */
  #release(jam: Jam): void {
    jam.isFull = false;
    while (!jam.isFull && jam.held?.isEmpty === false) {
      if (!isSending(this.#core)) return; // The socket is closing.
      const entry = jam.held.shift()!;
      this.#setLength(jam, jam.length - entry.text.length);
      if (isWanted(entry) && !hand(this.#core, entry.text)) this.#fail(entry);
    }
    if (jam.held?.isEmpty) this.#forget(jam);
    this.isHolding = jam.isFull || jam.held !== undefined;
    if (!this.isHolding) advance(this.#core);
  }

  /** Rejects what the socket did not take. */
  #fail(entry: Entry): void {
    for (const { pending } of messagesOf(entry)) {
      if (pending === undefined) continue;
      this.#core.pending.mark(pending, false);
      abandon(this.#core, pending, false);
    }
  }

  /** Resolves when no more than 65,536 bytes wait. */
  drained(): Promise<void> {
    if (isClosed(this.#core)) return Promise.reject(this.#error());
    if (this.#isLittle()) return Promise.resolve();
    const jam = this.#jam ??= new Jam();
    if (jam.drained === undefined) {
      jam.drained = new Deferred();
      this.#poll(jam, 1);
    }
    return jam.drained.promise;
  }

  /** Begins anew, since a new connection has sent nothing. */
  open(): void {
    this.#hasOpened = true;
    this.#unseen = 0;
  }

  stop(isOpen: boolean): void {
    if (isOpen) {
      // Notifications and answers leave before the close frame. Requests don't:
      // nobody waits for them any more.
      for (const { text, pending } of this.#rest()) {
        if (pending === undefined) hand(this.#core, text);
      }
    }
    this.drop();
  }

  drop(): void {
    const jam = this.#jam;
    if (jam === undefined) return;
    const requests = this.#rest().filter(isRequest);
    for (const entry of requests) {
      for (const { pending } of messagesOf(entry)) {
        if (pending !== undefined) this.#core.pending.mark(pending, false);
      }
    }
    // Requests that never left may go by the next connection.
    this.#core.queue.putFirst(requests);
    this.#forget(jam);
    jam.isFull = this.isHolding = false;
    jam.longest = 0;
    if (jam.drained === undefined) clearTimeout(jam.timer);
  }

  /** Ends for good. */
  end(): void {
    const jam = this.#jam;
    if (jam === undefined) return;
    clearTimeout(jam.timer);
    jam.drained?.reject(this.#error());
  }

  /** The messages that are held back, with those given up meanwhile. */
  #rest(): readonly Entry[] {
    return this.#jam?.held?.rest() ?? [];
  }

  #forget(jam: Jam): void {
    jam.held = undefined;
    this.#setLength(jam, 0);
  }

  /** The error of `drained`. `sent` is false if the connection never opened. */
  #error(): Error {
    return closedError(this.#core, "Cannot drain", this.#hasOpened);
  }

  #poll(jam: Jam, delay: number): void {
    clearTimeout(jam.timer);
    jam.delay = delay;
    jam.due = performance.now() + delay;
    jam.timer = setTimeout(() => {
      try {
        this.look();
      } catch (error) {
        this.#core.report(error);
      }
    }, delay);
  }

  /** Looks what has left since the last look. */
  look(): void {
    const jam = this.#jam;
    if (jam === undefined) return;
    const before = jam.amount;
    if (jam.isFull && !this.#progresses(jam)) return;
    if (jam.drained !== undefined && this.#isLittle()) {
      jam.drained.resolve();
      jam.drained = undefined;
    }
    const isAwaited = jam.drained !== undefined;
    if (!this.isHolding && !isAwaited) return;
    const most = isAwaited ? mostDelayAwaited : mostDelay;
    const hasLeft = this.isHolding && jam.amount !== before;
    this.#poll(jam, hasLeft ? 1 : Math.min(2 * jam.delay, most));
  }

  /**
   * Sends what there is room for; `false`: the other side reads too slowly and was
   * cut.
   */
  #progresses(jam: Jam): boolean {
    const { heartbeat, limits: { buffered, bufferedTime } } = this.#core;
    const now = performance.now();
    const amount = this.#read();
    jam.left += Math.max(jam.amount - amount, 0);
    jam.amount = amount;
    // The process slept or was busy, and couldn't send.
    const isLate = now - jam.due > bufferedTime / 2;
    if (jam.left >= Math.max(this.#step, 1)) {
      jam.left = 0;
      jam.since = now;
      // Reading is a sign of life.
      if (heartbeat !== undefined) heartbeat.isHeard = true;
    } else if (isLate) jam.since = now;
    if (amount <= buffered) this.#release(jam);
    else if (now - jam.since >= this.#patience(jam)) {
      return this.close(
        `less than ${this.#step} of ${amount} bytes left in ${
          Math.round(now - jam.since)
        } ms, see limits.bufferedTime`,
      );
    }
    return true;
  }

  /**
   * Milliseconds in which a step must leave. Runtimes say that a message has left
   * when all of it has, so a long one gets more time.
   */
  #patience({ longest }: Jam): number {
    const { buffered, bufferedTime } = this.#core.limits;
    return bufferedTime * Math.max(1, 2 * longest / Math.max(buffered, step));
  }

  #isLittle(): boolean {
    return this.#core.queue.size === 0 && this.#jam?.held === undefined &&
      this.#read() <= step;
  }

  /** Bytes in the socket's buffer. */
  #read(): number {
    return this.#core.ws?.bufferedAmount ?? 0;
  }

  /** Cuts the connection. */
  close(why: string): false {
    this.drop();
    cut(this.#core, slowConsumer, `Slow consumer: ${why}`);
    return false;
  }
}

function isRequest({ pending, batch }: Entry): boolean {
  return pending !== undefined || batch !== undefined;
}
