/**
 * The messages heard in rooms, compared with those said: each number that a node has
 * said in a room comes once and in order, or a gap is told.
 *
 * @module
 */

/** One member's knowledge of one node in one room. */
interface Line {
  /** The last number that came. */
  last: number;
  /** True if a gap was told since. */
  isExcused: boolean;
  /** Jumps that no gap has been told for yet. */
  jumps: string[];
}

/** One member of rooms, on one connection. */
export class MemberLedger {
  /** The number of messages that came. */
  heard = 0;
  /** The number of messages that did not come and were told as a gap. */
  missed = 0;
  /** The violations found. */
  readonly violations: string[] = [];
  readonly #name: string;
  /** By room, and by node in it. */
  readonly #rooms = new Map<string, Map<string, Line>>();

  constructor(name: string) {
    this.#name = name;
  }

  /** A message of a room has come. */
  hear(room: string, from: string, number: number): void {
    this.heard++;
    const lines = this.#rooms.get(room) ?? new Map<string, Line>();
    this.#rooms.set(room, lines);
    const line = lines.get(from);
    if (line === undefined) {
      lines.set(from, { last: number, isExcused: false, jumps: [] });
      return;
    }
    const { last } = line;
    if (number <= last) {
      this.#complain(room, from, `${number} came after ${last}`);
      return;
    }
    if (number > last + 1) {
      this.missed += number - last - 1;
      // The gap may be told a little later, once it is over.
      if (!line.isExcused) line.jumps.push(`${number} came after ${last}`);
    }
    line.last = number;
    line.isExcused = false;
  }

  /** A gap was told. */
  gap(room: string, node: string | undefined): void {
    for (const [from, line] of this.#rooms.get(room) ?? []) {
      if (node !== undefined && node !== from) continue;
      line.isExcused = true;
      line.jumps = [];
    }
  }

  /** The connection is over; the next one begins anew. */
  reset(): void {
    this.#settle();
    this.#rooms.clear();
  }

  /**
   * Checks the end: nothing more is said, and all messages have had time to come.
   *
   * @param said The last numbers of the nodes that are still there.
   */
  finish(said: ReadonlyMap<string, Readonly<Record<string, number>>>): void {
    this.#settle();
    for (const [room, lines] of this.#rooms) {
      for (const [from, { last, isExcused }] of lines) {
        const number = said.get(from)?.[room];
        if (number === undefined || number === last) continue;
        if (!isExcused) {
          this.#complain(room, from, `${last} came last of ${number}`);
        } else this.missed += number - last;
      }
    }
  }

  #settle(): void {
    for (const [room, lines] of this.#rooms) {
      for (const [from, { jumps }] of lines) {
        for (const jump of jumps) {
          this.#complain(room, from, `${jump}, and no gap was told`);
        }
      }
    }
  }

  #complain(room: string, from: string, what: string): void {
    this.violations.push(`${this.#name}, ${room}, from ${from}: ${what}`);
  }
}

/** The outcomes of calls, compared with their executions. */
export class CallLedger {
  /** The number of calls, by outcome. */
  readonly counts: Map<string, number> = new Map();
  readonly #executions = new Map<string, number>();
  readonly #outcomes = new Map<string, string>();

  /** A call was executed. */
  run(id: string): void {
    this.#executions.set(id, (this.#executions.get(id) ?? 0) + 1);
  }

  /**
   * A caller was told the outcome of a call.
   *
   * @param outcome "result", "unsent", or anything else: it may have run.
   */
  settle(id: string, outcome: string): void {
    this.#outcomes.set(id, outcome);
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  /** The violations found. */
  violations(): string[] {
    const violations: string[] = [];
    for (const [id, times] of this.#executions) {
      if (times > 1) violations.push(`Call ${id} was executed ${times} times`);
    }
    for (const [id, outcome] of this.#outcomes) {
      const times = this.#executions.get(id) ?? 0;
      if (outcome === "unsent" && times > 0) {
        violations.push(`Call ${id} was told not to be sent, and was executed`);
      }
      if (outcome === "result" && times === 0) {
        violations.push(`Call ${id} has a result, and was never executed`);
      }
    }
    return violations;
  }
}
