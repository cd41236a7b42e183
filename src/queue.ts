/**
 * The messages that wait for a connection, in their order.
 *
 * @module
 */

import type { Limits } from "./limits.ts";
import type { Member, OutgoingBatch } from "./pending.ts";

/** A message, or a batch that is to be one frame. */
export type Entry = Member | OutgoingBatch;

/** What waits for the handshake of one peer. */
export class Queue {
  readonly #limits: Limits;
  #entries: Entry[] | undefined;
  /** In characters. */
  #length = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** How many wait. */
  get size(): number {
    return this.#entries?.length ?? 0;
  }

  /** Lets messages wait, all or none; `false` if there is no room. */
  add(entries: readonly Entry[]): boolean {
    const length = lengthOf(entries);
    if (!this.#hasRoom(entries.length, length)) {
      // Those that were given up meanwhile wait no more.
      const wanted = this.take().filter(isEntryWanted);
      this.addFirst(wanted);
      if (!this.#hasRoom(entries.length, length)) return false;
    }
    (this.#entries ??= []).push(...entries);
    this.#length += length;
    return true;
  }

  /** Lets messages wait that have been sent once, before all others. */
  addFirst(entries: readonly Entry[]): void {
    (this.#entries ??= []).unshift(...entries);
    this.#length += lengthOf(entries);
  }

  /** Takes the one that has waited longest. */
  takeFirst(): Entry | undefined {
    const entry = this.#entries?.shift();
    if (entry !== undefined) this.#length -= lengthOf([entry]);
    return entry;
  }

  /** Takes all that wait. */
  take(): Entry[] {
    const entries = this.#entries ?? [];
    this.#entries = undefined;
    this.#length = 0;
    return entries;
  }

  /** What is said to whom there is no room for. */
  error(what: string, name: string, entries: readonly Entry[]): RangeError {
    const { queued, queuedLength } = this.#limits;
    const { size } = this;
    const state = size + entries.length > queued
      ? `${size} of at most ${queued} messages`
      : `${this.#length} of at most ${queuedLength} characters`;
    return new RangeError(`${what} "${name}": ${state} wait for the handshake`);
  }

  #hasRoom(count: number, length: number): boolean {
    const { queued, queuedLength } = this.#limits;
    return this.size + count <= queued && this.#length + length <= queuedLength;
  }
}

/** Whether a message is still to be sent. */
export function isWanted({ pending }: Member): boolean {
  return pending === undefined || !pending.settled;
}

function isEntryWanted(entry: Entry): boolean {
  return "members" in entry ? entry.members.some(isWanted) : isWanted(entry);
}

function lengthOf(entries: readonly Entry[]): number {
  let length = 0;
  for (const entry of entries) {
    length += "members" in entry ? lengthOf(entry.members) : entry.text.length;
  }
  return length;
}
