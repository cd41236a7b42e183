/**
 * The messages heard in rooms with history, compared with those said. Each message
 * comes to each member once and in order, over any number of connections; or the
 * member is told of a gap, or that it can't catch up.
 *
 * @module
 */

/** A message that came. */
interface Heard {
  /** The epoch of the log; a log that begins anew has another one. */
  readonly epoch: string;
  readonly offset: number;
  readonly from: string;
  readonly number: number;
}

/** The messages of one member in one room, over all its connections. */
export class HeardHistory {
  readonly name: string;
  readonly room: string;
  /**
   * In order of arrival. `"gap"`: something may be missing here; `"anew"`: the log
   * begins anew, without relation to the messages before.
   */
  readonly events: (Heard | "gap" | "anew")[] = [];
  /** The position of the last message that came. */
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

  /** The missed messages can't be told. @param asked The number of events when it asked. */
  begin(asked: number): void {
    this.events.splice(asked, 0, "anew");
  }
}

/** All members of all rooms with history. */
export class HistoryLedger {
  readonly #members: HeardHistory[] = [];
  /** The messages that the engine has confirmed, by room: "node number". */
  readonly #confirmed = new Map<string, Set<string>>();
  /** The number of returns after which a member was told all, and not all. */
  readonly caughtUp: { whole: number; not: number } = { whole: 0, not: 0 };

  /** One more member of a room. */
  member(name: string, room: string): HeardHistory {
    const member = new HeardHistory(name, room);
    this.#members.push(member);
    return member;
  }

  /** The engine has confirmed a node's message. */
  confirm(room: string, from: string, number: number): void {
    const all = this.#confirmed.get(room) ?? new Set();
    this.#confirmed.set(room, all.add(`${from} ${number}`));
  }

  /** The number of messages that came, and of gaps that were told. */
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

  /** The number of messages that the engine has confirmed. */
  get confirmed(): number {
    return Array.from(this.#confirmed.values(), ({ size }) => size)
      .reduce((sum, size) => sum + size, 0);
  }

  /** The violations, once nothing more is said and all messages have had time to come. */
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
      // The messages that nobody heard.
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

/** Checks that a member was told all that others were, once and in order. */
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

/** True if a gap was told where the message is missing. */
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
