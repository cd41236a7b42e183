/**
 * The messages that wait for a connection, in their order.
 *
 * @module
 */

import type { Limits } from "../wire/limits.ts";
import type { Pending } from "./pending.ts";

/** A message, or a batch that is to be one frame. */
export interface Entry {
  readonly text: string;
  /** The request that it is; a notification waits for nothing. */
  readonly pending: Pending | undefined;
  /** The batch that it is. */
  readonly batch?: QueuedBatch;
}

/** A batch that waits, and goes without the members that were given up meanwhile. */
export interface QueuedBatch {
  isWanted(): boolean;
  send(): void;
}

/** What waits for the handshake of one peer. */
export class Queue {
  readonly #limits: Limits;
  #entries: Entry[] = [];
  /** In characters. */
  #length = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** How many wait. */
  get size(): number {
    return this.#entries.length;
  }

  /** Lets messages wait, all or none; `false` if there is no room. */
  add(entries: readonly Entry[]): boolean {
    const length = lengthOf(entries);
    if (!this.#hasRoom(entries.length, length)) {
      // Those that were given up meanwhile wait no more.
      this.#entries = this.#entries.filter(isWanted);
      this.#length = lengthOf(this.#entries);
      if (!this.#hasRoom(entries.length, length)) return false;
    }
    this.#entries.push(...entries);
    this.#length += length;
    return true;
  }

  /** Lets messages wait that have been sent once, before all others. */
  addFirst(entries: readonly Entry[]): void {
    this.#entries.unshift(...entries);
    this.#length += lengthOf(entries);
  }

  /** Takes the one that has waited longest. */
  takeFirst(): Entry | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#length -= entry.text.length;
    return entry;
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

/** Whether something is still to be sent. */
export function isWanted({ pending, batch }: Entry): boolean {
  return batch === undefined ? pending?.settled !== true : batch.isWanted();
}

function lengthOf(entries: readonly Entry[]): number {
  let length = 0;
  for (const { text } of entries) length += text.length;
  return length;
}
