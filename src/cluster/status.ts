/**
 * What every engine does alike: where it is, who is told of it, what it refuses.
 *
 * @module
 */

import { type Engine, EngineError, type EngineStatus } from "./engine.ts";

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

  /** Changes, unless it is closed or so already. */
  become(status: EngineStatus, cause?: unknown): void {
    if (this.now === status || this.now === "closed") return;
    this.now = status;
    for (const each of [...this.#watching]) {
      // Another one may have changed its mind, or the status, meanwhile.
      if (this.now !== status) return;
      if (this.#watching.has(each)) guard(each.told, status, cause);
    }
    if (status === "closed") this.#watching.clear();
  }
}

/**
 * Calls what is another's, which may throw: it is theirs to guard, and whoever else
 * is called is not to blame.
 */
export function guard<Args extends unknown[]>(
  call: (...args: Args) => void,
  ...args: Args
): void {
  try {
    call(...args);
  } catch {
    // Nobody is left to tell.
  }
}

/** What an engine is asked for. */
export type Act = "publish" | "subscribe" | "append" | "read";

/** The error of an engine that could not do what it was asked for. */
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

const subjects = /^(?!\.)(?!.*\.\.)(?!.*\.$)[\x21-\x7e]{1,1000}$/;

/**
 * Has a subject that is one: no pattern, which would hear what is meant for others.
 *
 * @throws {TypeError} It is none.
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
