/**
 * The common ground of all engines: their status and its watchers, their errors,
 * and the check of subjects.
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Place,
} from "./engine.ts";

/** Who hears of a subject, see {@linkcode Engine.subscribe}. */
export type Receive = (text: string, place?: Place) => void;

type Told = Parameters<Engine["watch"]>[0];

/** The status of an engine. */
export class Status {
  /** See {@linkcode Engine.status}. */
  now: EngineStatus;
  readonly #watching = new Set<{ readonly told: Told }>();

  constructor(now: EngineStatus) {
    this.now = now;
  }

  /** See {@linkcode Engine.watch}. */
  watch(told: Told): () => void {
    const watching = { told };
    if (this.now !== "closed") this.#watching.add(watching);
    return () => void this.#watching.delete(watching);
  }

  /**
   * Changes the status, and tells all who watch; does nothing if it is closed or
   * the same.
   */
  become(status: EngineStatus, cause?: unknown): void {
    if (this.now === status || this.now === "closed") return;
    this.now = status;
    for (const each of [...this.#watching]) {
      // An earlier watcher may have removed others, or changed the status.
      if (this.now !== status) return;
      if (this.#watching.has(each)) guard(each.told, status, cause);
    }
    if (status === "closed") this.#watching.clear();
  }
}

/**
 * Calls a foreign function and drops its errors, so that others are called
 * nevertheless.
 */
export function guard<Args extends unknown[]>(
  call: (...args: Args) => void,
  ...args: Args
): void {
  try {
    call(...args);
  } catch {
    // The function has to handle its own errors.
  }
}

/** The actions of an engine. */
export type Act =
  | "publish"
  | "subscribe"
  | "append"
  | "read"
  | "open the log of";

/** Makes the error of an action that failed. */
export function failure(
  what: Act,
  subject: string,
  why: string,
  sent: boolean,
  cause?: unknown,
): EngineError {
  return new EngineError(
    `Cannot ${what} ${JSON.stringify(subject)}: ${why}`,
    sent,
    cause === undefined ? {} : { cause },
  );
}

/** A request to an engine that is not answered yet. */
export class Handed<T = undefined> extends Deferred<T> {
  readonly what: Act;
  readonly subject: string;

  constructor(what: Act, subject: string) {
    super();
    this.what = what;
    this.subject = subject;
  }

  /** @param sent Whether others may have it, where it is for others. */
  fail(why: string, sent: boolean, cause?: unknown): void {
    const isForOthers = this.what === "publish" || this.what === "append";
    this.reject(
      failure(this.what, this.subject, why, sent && isForOthers, cause),
    );
  }
}

const subjects = /^(?!\.)(?!.*\.\.)(?!.*\.$)[\x21-\x7e]{1,1000}$/;

/**
 * Checks a subject. Patterns are refused, since they would hear other subjects'
 * messages.
 *
 * @throws {TypeError} It is invalid.
 */
export function checkSubject(subject: string): void {
  if (!subjects.test(subject) || /[*>]/.test(subject)) {
    throw new TypeError(
      `Cannot use the subject ${
        JSON.stringify(subject.slice(0, 200))
      }: it must be 1 to 1,000 characters of printable ASCII but space, "*" and ">", with no dot at either end and no two in a row`,
    );
  }
}

/**
 * Has a subject that is one of a log's.
 *
 * @throws {TypeError} It is none.
 */
export function checkLogged(subject: string, prefix: string): void {
  checkSubject(subject);
  if (subject.startsWith(`${prefix}.`)) return;
  throw new TypeError(
    `Cannot use the subject ${
      JSON.stringify(subject)
    }: those of this log begin with ${JSON.stringify(`${prefix}.`)}`,
  );
}

/** Has a place of what an engine says; `undefined`: it is none. */
export function readPlace(
  epoch: unknown,
  offset: unknown,
  previous: unknown,
): Place | undefined {
  const place = {
    epoch: `${epoch}`,
    offset: Number(offset),
    previous: Number(previous),
  };
  return isPlace(place) && place.previous >= 0 ? place : undefined;
}

/** Whether a place is one; -1 is what comes before an entry of which that isn't known. */
export function isPlace({ epoch, offset, previous }: Place): boolean {
  return /^[\w-]{1,32}$/.test(epoch) &&
    Number.isSafeInteger(offset) && offset > 0 &&
    Number.isSafeInteger(previous) && previous >= -1 && previous < offset;
}
