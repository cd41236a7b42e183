/**
 * Batches of the specification, out and in: several messages in one frame; and
 * errors without an id that are about a batch.
 *
 * @see {@link https://www.jsonrpc.org/specification#batch}
 *
 * @module
 */

import type { Connection, Core, CorePart } from "../peer/core.ts";
import { dispatch, eachInTurn, read } from "../peer/hearing.ts";
import { keep, mayKeep } from "../peer/held.ts";
import { isTaken } from "../peer/incoming.ts";
import { settleUnknown } from "../peer/outgoing.ts";
import { closedError, entrusted } from "../peer/owner.ts";
import {
  type Entry,
  isWanted,
  type Pending,
  type QueuedBatch,
} from "../peer/pending.ts";
import type { Batches, IncomingBatch, Living } from "../peer/seams.ts";
import { send, sendAside, versionOf } from "../peer/sending.ts";
import { mark, post, sendEntry, take } from "../peer/waiting.ts";
import { batchTooLarge } from "../wire/codes.ts";

import {
  type Id,
  invalid,
  type Message,
  type Response,
  unreadable,
} from "../wire/message.ts";

/** The part that sends and answers batches. */
export const batches: CorePart = {
  name: "batches",
  attach(core) {
    core.receiveBatch = receiveBatch;
  },
};

/** The batches of a peer, made for the first one: most peers send and get none. */
function batchesOf(core: Core): PeerBatches {
  if (core.batches === undefined) {
    const all = new PeerBatches(core);
    core.batches = all;
    core.enlist(all);
  }
  return core.batches as PeerBatches;
}

function receiveBatch(core: Core, values: unknown[], text: string): void {
  batchesOf(core).receive(values, text);
}

/** Sends the calls of `collect` as one frame; see {@linkcode Peer.batch}. */
export function collectBatch<T>(core: Core, collect: () => T): T {
  return batchesOf(core).collectAll(collect);
}

// Characters of the error for a result without room, without its id.
const refusalLength = 112;

class PeerBatches implements Batches, Living {
  next: Living | undefined;
  isCollecting = false;
  readonly #core: Core;
  /** The batches that are being collected, a frame each. */
  #batches: OutgoingBatch[] | undefined;
  /** The promises of the collected requests. */
  #promises: Promise<unknown>[] | undefined;
  /** The batches with requests that wait for a response. */
  #waiting: Set<OutgoingBatch> | undefined;
  /** The batch that the batch being read answers. */
  #answered: OutgoingBatch | undefined;
  /** The ids in the batches that arrived and are not answered. */
  #ids: Set<Id> | undefined;
  /** The responses to those that are known so far. */
  #unfinished: Set<Answers> | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  stop(): void {
    this.#ids = undefined;
    // Emptied, because a method that goes on keeps its batch in memory.
    for (const { responses } of this.#unfinished ?? []) responses.length = 0;
    this.#unfinished = undefined;
  }

  // Out.

  collectAll<T>(collect: () => T): T {
    if (this.isCollecting) return collect();
    const all: OutgoingBatch[] = this.#batches = [];
    const promises: Promise<unknown>[] = this.#promises = [];
    this.isCollecting = true;
    try {
      const result = collect();
      this.isCollecting = false;
      this.#send(all);
      return result;
    } catch (error) {
      this.isCollecting = false;
      for (const batch of all) batch.reject(error);
      // Caught, because the caller gets the throw, and may have no reference to the
      // promises.
      for (const promise of promises) promise.catch(() => {});
      throw error;
    }
  }

  note(promise: Promise<unknown>): void {
    this.#promises!.push(promise);
  }

  collect(text: string, pending: Pending | undefined): void {
    const all = this.#batches!;
    let batch = all.at(-1);
    if (batch === undefined || !batch.hasRoom(text, pending)) {
      all.push(batch = new OutgoingBatch(this.#core));
    }
    this.#add(batch, text, pending);
  }

  #add(batch: OutgoingBatch, text: string, pending: Pending | undefined): void {
    batch.add(text, pending);
    if (pending === undefined) return;
    (this.#waiting ??= new Set()).add(batch);
    const { release } = pending;
    pending.release = (succeeded): void => {
      release?.(succeeded);
      batch.pending.delete(pending);
      if (batch.pending.size === 0) this.#waiting!.delete(batch);
    };
  }

  #send(all: readonly OutgoingBatch[]): void {
    const core = this.#core;
    // The peer was closed, so the requests are rejected already.
    if (all.length === 0 || core.state === "closed") return;
    const isOne = versionOf(core) === "2.0";
    if (isOne && core.limits.batchMembers === 0) {
      throw new RangeError(
        "Cannot send batch: it has 1 of at most 0 members, see limits.batchMembers",
      );
    }
    const entries = all.flatMap((batch) => isOne ? batch.entry : batch.members);
    const why = post(core, "Cannot send", "batch", entries);
    if (why instanceof RangeError) throw why;
    if (why === undefined) return;
    entrusted(core, why);
    for (const batch of all) batch.reject(why);
  }

  get isNamed(): boolean {
    return this.#answered !== undefined;
  }

  settle(error: unknown, isGuess: boolean): boolean {
    // The answers of other members tell which batch it is; without them it is a
    // guess.
    const batch = this.#answered ??
      (isGuess ? this.#findSent() : undefined);
    if (batch === undefined || batch.pending.size === 0) return false;
    batch.reject(error);
    return true;
  }

  /** The oldest batch that was sent. */
  #findSent(): OutgoingBatch | undefined {
    for (const batch of this.#waiting ?? []) if (batch.isSent) return batch;
    return undefined;
  }

  // In.

  receive(values: unknown[], text: string): void {
    const core = this.#core;
    const { batchMembers } = core.limits;
    const { length } = values;
    if (length === 0) return dispatch(core, invalid(undefined, null), text);
    if (length > batchMembers) {
      const why = `Batch has ${length} of at most ${batchMembers} members`;
      return dispatch(core, unreadable(batchTooLarge, why), text);
    }
    const messages = values.map((value) => read(core, value, text));
    // Begins with one awaited, so that it isn't answered before its last member was
    // read.
    const batch = new Answers(core, length, (answers) => this.#answer(answers));
    (this.#unfinished ??= new Set()).add(batch);
    const unidentified: Response[] = [];
    let answered: OutgoingBatch | undefined;
    eachInTurn(core, messages, text, (message) => {
      if (message.type === "response") {
        const { id, error } = message;
        if (error !== undefined && (id === undefined || id === null)) {
          return void unidentified.push(message);
        }
        answered ??= this.#find(id);
      }
      this.#dispatch(message, text, batch);
    }, () => {
      // Last, because by now it is known which batch they are about.
      this.#answered = answered;
      for (const response of unidentified) settleUnknown(core, response, text);
      this.#answered = undefined;
      batch.complete();
    });
  }

  #dispatch(message: Message, text: string, batch: Answers): void {
    const core = this.#core;
    const isRequest = message.type === "request";
    if (!isRequest) return dispatch(core, message, text, batch);
    batch.awaited++;
    // An id stays in use until the whole batch is answered.
    const isNew = message.id !== null && !isTaken(core, message.id);
    dispatch(core, message, text, batch);
    if (!isNew || core.state !== "open") return;
    batch.ids.push(message.id);
    (this.#ids ??= new Set()).add(message.id);
  }

  #find(id: Id | undefined): OutgoingBatch | undefined {
    const pending = this.#core.pending.get(id);
    if (pending === undefined) return undefined;
    for (const batch of this.#waiting ?? []) {
      if (batch.pending.has(pending)) return batch;
    }
    return undefined;
  }

  #answer(answers: Answers): void {
    const { ids, responses } = answers;
    this.#unfinished?.delete(answers);
    answers.leave();
    for (const id of ids) this.#ids?.delete(id);
    if (responses.length > 0) sendAside(this.#core, `[${responses.join(",")}]`);
  }

  isTaken(id: Id): boolean {
    return this.#ids?.has(id) === true;
  }
}

/** A batch of this side, which is being collected or waits. */
class OutgoingBatch implements QueuedBatch {
  readonly members: Entry[] = [];
  readonly pending: Set<Pending> = new Set();
  isSent = false;
  readonly #core: Core;
  /** Characters of the frame. */
  #length = 1;
  /** The places and loans of its calls. */
  #places = 0;
  #streams = 0;
  #references = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Whether one more member fits into the limits. */
  hasRoom(text: string, pending: Pending | undefined): boolean {
    const { batchMembers, sentLength, outgoing, streams, references } =
      this.#core.limits;
    const { loan, places = 0 } = pending ?? {};
    return this.members.length < batchMembers &&
      this.#length + text.length + 1 <= sentLength &&
      this.#places + places <= outgoing &&
      this.#streams + (loan?.streams ?? 0) <= streams &&
      this.#references + (loan?.references ?? 0) <= references;
  }

  add(text: string, pending: Pending | undefined): void {
    this.members.push({ text, pending });
    this.#length += text.length + 1;
    if (pending === undefined) return;
    this.pending.add(pending);
    this.#places += pending.places;
    this.#streams += pending.loan?.streams ?? 0;
    this.#references += pending.loan?.references ?? 0;
  }

  /**
   * The entry of the queue. A single message that would be too long with brackets
   * goes without them.
   */
  get entry(): Entry {
    const [first] = this.members;
    return this.#length > this.#core.limits.sentLength
      ? first!
      : { text: "", pending: undefined, batch: this };
  }

  /** Sends the batch without the members that were given up. */
  send(): void {
    const core = this.#core;
    const members = this.members.filter(isWanted);
    if (versionOf(core) !== "2.0") {
      for (const member of members) sendEntry(core, member);
      return;
    }
    this.isSent = true;
    for (const { pending } of members) if (pending) mark(core, pending);
    if (send(core, join(members), undefined, this)) return;
    for (const { pending } of members) {
      if (pending) core.pending.mark(pending, false);
    }
    this.reject(closedError(core, "Cannot send batch"));
  }

  reject(error: unknown): void {
    for (const { id } of [...this.pending]) {
      take(this.#core, id)?.reject(error);
    }
  }
}

/** The answer to a batch that arrived. */
class Answers implements IncomingBatch {
  readonly responses: string[] = [];
  /** The ids of its requests, which stay in use until it is answered. */
  readonly ids: Id[] = [];
  awaited = 1;
  #length = 2;
  /** Number of members that have no response yet, or may not need one. */
  #unanswered: number;
  readonly #core: Core;
  readonly #connection: Connection;
  readonly #done: (answers: Answers) => void;

  constructor(core: Core, members: number, done: (answers: Answers) => void) {
    this.#core = core;
    this.#connection = core.connection;
    this.#unanswered = members;
    this.#done = done;
  }

  add(text: string): void {
    this.responses.push(text);
    this.#length += text.length + 1;
    this.#unanswered--;
    keep(this.#connection, text.length + 1);
  }

  refuses(text: string): string | undefined {
    return mayKeep(this.#core, text.length + 1)
      ? undefined
      : "no room beside batches' others";
  }

  /** Takes its responses off the connection's account in held.ts. */
  leave(): void {
    keep(this.#connection, 2 - this.#length);
  }

  answer(text: string): void {
    this.add(text);
    this.complete();
  }

  lengthAround(): number {
    // The others may need an error each, that there is no room for their results.
    return this.#length + (this.#unanswered - 1) * refusalLength;
  }

  /** Counts a member that is done; the last one sends the answer. */
  complete(): void {
    this.awaited--;
    if (this.awaited === 0) this.#done(this);
  }
}

function join(members: readonly Entry[]): string {
  return `[${members.map(({ text }) => text).join(",")}]`;
}
