/**
 * What members of rooms with history were told, held against what was said: all that
 * was said comes to each of them once and in order, over however many connections, or
 * a gap says so, or that it can't be caught up with.
 *
 * @module
 */

/** A message that came. */
interface Heard {
  /** Of the log: another one has begun anew. */
  readonly epoch: string;
  readonly offset: number;
  readonly from: string;
  readonly number: number;
}

/** What one member was told in one room, over all its connections. */
export class HeardHistory {
  readonly name: string;
  readonly room: string;
  /**
   * In the order in which it came. `"gap"`: something may be missing here; `"anew"`:
   * what follows has nothing to do with what was before.
   */
  readonly events: (Heard | "gap" | "anew")[] = [];
  /** Where the last message stands that came. */
  position: string | undefined;

  constructor(name: string, room: string) {
    this.name = name;
    this.room = room;
  }

  /** A message has come. */
  hear(from: string, number: number, position: unknown): void {
    this.position = String(position);
    const [epoch = "", offset] = this.position.split(".");
    this.events.push({ epoch, offset: Number(offset), from, number });
  }

  /** A gap was told. */
  gap(): void {
    this.events.push("gap");
  }

  /** What it has missed can't be told. @param asked How many events there were then. */
  begin(asked: number): void {
    this.events.splice(asked, 0, "anew");
  }
}

/** All members of all rooms with history. */
export class HistoryLedger {
  readonly #members: HeardHistory[] = [];
  /** By room, what the engine has confirmed: "node number". */
  readonly #confirmed = new Map<string, Set<string>>();
  /** How often a member came back and was told all, or not. */
  readonly caughtUp: { whole: number; not: number } = { whole: 0, not: 0 };

  /** One more member of a room. */
  member(name: string, room: string): HeardHistory {
    const member = new HeardHistory(name, room);
    this.#members.push(member);
    return member;
  }

  /** The engine has confirmed what a node said. */
  confirm(room: string, from: string, number: number): void {
    const all = this.#confirmed.get(room) ?? new Set();
    this.#confirmed.set(room, all.add(`${from} ${number}`));
  }

  /** How many messages came, and how many gaps were told. */
  get totals(): { heard: number; gaps: number } {
    let heard = 0;
    let gaps = 0;
    for (const { events } of this.#members) {
      for (const event of events) {
        if (typeof event === "object") heard++;
        else if (event === "gap") gaps++;
      }
    }
    return { heard, gaps };
  }

  /** How many messages the engine has confirmed. */
  get confirmed(): number {
    return Array.from(this.#confirmed.values(), ({ size }) => size)
      .reduce((sum, size) => sum + size, 0);
  }

  /** What must not be, when nothing more is said and all has had its time. */
  violations(): string[] {
    const violations: string[] = [];
    const byRoom = Map.groupBy(this.#members, ({ room }) => room);
    for (const [room, members] of byRoom) {
      const places = new Map<string, string>();
      const offsets = new Map<string, Set<number>>();
      for (const { events, name } of members) {
        for (const event of events) {
          if (typeof event === "string") continue;
          const { epoch, offset, from, number } = event;
          const said = `${from} ${number}`;
          const place = `${epoch}.${offset}`;
          if ((places.get(said) ?? place) !== place) {
            violations.push(
              `${room}: ${said} stands at ${place} for ${name}, and at ${
                places.get(said)
              }`,
            );
          }
          places.set(said, place);
          offsets.set(epoch, (offsets.get(epoch) ?? new Set()).add(offset));
        }
      }
      const all = new Map(
        Array.from(offsets, ([epoch, set]) => [
          epoch,
          [...set].sort((a, b) => a - b),
        ]),
      );
      // What nobody heard.
      const unheard = [...this.#confirmed.get(room) ?? []]
        .filter((said) => !places.has(said));
      for (const member of members) {
        const complain = (what: string): void =>
          void violations.push(`${member.name}, ${room}: ${what}`);
        follow(member, all, complain);
        for (const said of unheard) {
          if (!isExcused(member, said)) {
            complain(`${said} never came to anybody, and no gap was told`);
          }
        }
      }
    }
    return violations;
  }
}

/** Looks whether a member was told all that others were, once and in order. */
function follow(
  { events }: HeardHistory,
  all: ReadonlyMap<string, readonly number[]>,
  complain: (what: string) => void,
): void {
  let last: Heard | undefined;
  let isGap = false;
  for (const event of events) {
    if (event === "gap") isGap = true;
    else if (event === "anew") {
      last = undefined;
      isGap = false;
    } else {
      if (last !== undefined) {
        const what =
          `${event.epoch}.${event.offset} came after ${last.epoch}.${last.offset}`;
        const isSame = event.epoch === last.epoch;
        if (isSame && event.offset <= last.offset) complain(what);
        else if (!isGap) {
          const offsets = all.get(event.epoch)!;
          const before = offsets[offsets.indexOf(event.offset) - 1];
          if (!isSame || before !== last.offset) {
            complain(`${what}, and no gap was told`);
          }
        }
      }
      last = event;
      isGap = false;
    }
  }
  if (last === undefined || isGap) return;
  const end = all.get(last.epoch)!.at(-1)!;
  if (end !== last.offset) {
    complain(`${last.epoch}.${last.offset} came last of ${end}`);
  }
}

/** Whether a gap was told where something is missing. */
function isExcused({ events }: HeardHistory, said: string): boolean {
  const [from, number] = said.split(" ");
  let isGap = false;
  for (const event of events) {
    if (typeof event === "string") isGap = true;
    else if (event.from === from) {
      if (event.number > Number(number)) break;
      isGap = false;
    }
  }
  return isGap;
}
