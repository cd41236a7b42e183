/**
 * Turns: the connections of one process share its time. What a connection sends
 * beyond its share waits, in the socket if that can be paused, else in memory.
 *
 * A turn is one round of the event loop. Messages are handled as they arrive. A
 * connection that has sent more than a little in a turn has the clock read; once
 * the turn has taken long enough, its further messages wait for the next turn.
 * Connections that send little never wait, and pay one addition for each message.
 *
 * @see bench/README.md, "Beside one that sends as fast as it can"
 *
 * @module
 */

import type { SocketEvent } from "../line/socket.ts";
import { afterTurn } from "../line/task.ts";
import { startTimer } from "../line/timers.ts";
import { coreOf } from "../peer/base.ts";
import type { Core } from "../peer/core.ts";
import { hold, letGo } from "../peer/held.ts";
import { cut } from "../peer/life.ts";
import { closedError, complain, isClosed } from "../peer/owner.ts";
import type { Living, Turns } from "../peer/seams.ts";
import { canLeave, leave, readOn } from "../runtime/deno_pausing.ts";
import { isIsolating } from "../runtime/isolates.ts";
import { afterEvents, cancelEvents, needsTimers } from "../runtime/turns.ts";
import { tooManyRequests } from "../wire/codes.ts";
import type { Request } from "../wire/message.ts";

// Milliseconds: after so much of a turn, messages of a connection that has sent
// much wait. Messages that wait are handled for as long in each turn.
const span = 10;

// The same for short messages of a socket that can't be paused, since letting them
// wait takes as long as handling them.
const longSpan = 40;

// Characters: of longer messages only one is handled in a turn, because parsing 1
// MiB alone takes as long as a turn may.
const longLength = 65_536;

// Milliseconds of a turn that one connection gets before the next one is served.
const slice = 5;

// Work is counted in characters: a message counts its length and 1,024. The clock
// is read after 16,384, because reading it costs a hundredth of a small message.
const leastLength = 1_024;
const work = 16_384;

// Milliseconds of busy turns in a row after which a socket that can be paused is
// paused, if there are other connections, which might not be heard otherwise. It
// costs a connection a seventh of the calls that it can make alone.
const rest = 30;

/** Number of connections. */
let connections = 0;

// Milliseconds for which a connection isn't read while too many of its calls wait
// for methods to end. A fixed time, because the methods may be waiting for its
// answers.
const restTime = 100;

const turn = {
  number: 0,
  start: 0,
  /** The start of the first of the busy turns in a row. */
  since: 0,
  /** Whether `endTurn` will be called. */
  isWatched: false,
  /** Whether a connection sent much in it. */
  isBusy: false,
  /** Whether a long message was handled in it already. */
  hasLong: false,
  /** Whether the next turn waits until all sockets have been heard. */
  isPausing: false,
  /** The connections with waiting messages, the next one first. */
  waiting: new Set<ConnectionTurns>(),
};

/**
 * Lets a peer take part in the turns. Not on Cloudflare, where the clock stands
 * still while code runs, and the runtime itself shares the time.
 */
export function shareTurns(peer: object): void {
  const core: Core | undefined = coreOf(peer);
  if (core === undefined || isIsolating) return;
  const turns = new ConnectionTurns(core);
  connections++;
  core.turns = turns;
  core.living.push(turns);
}

/** Ends the turn, and begins the next one with the messages that wait. */
function endTurn(): void {
  if (turn.isPausing) return;
  const { waiting } = turn;
  turn.number++;
  turn.hasLong = false;
  turn.isWatched = waiting.size > 0 || needsTimers && turn.isBusy;
  turn.isBusy = false;
  if (!turn.isWatched) return;
  let now = turn.start = performance.now();
  if (waiting.size === 0) return void afterTurn(endTurn);
  turn.since = now;
  const end = now + span;
  // One with more waiting goes to the end of the row, and may come to the front again.
  for (const first of waiting) {
    waiting.delete(first);
    now = first.serve(now + slice);
    if (first.isWaiting) waiting.add(first);
    if (now >= end || turn.hasLong) break;
  }
  if (waiting.size > 0) pause();
  else afterTurn(endTurn);
}

/** Lets all sockets be heard before the next turn. */
function pause(): void {
  if (!needsTimers) return void afterTurn(endTurn);
  turn.isPausing = true;
  afterEvents(endPause);
}

function endPause(): void {
  turn.isPausing = false;
  endTurn();
}

/** The turns of one connection: what it has sent, and what of it waits. */
class ConnectionTurns implements Turns, Living {
  readonly #core: Core;
  /**
   * The number of the turn in which it last sent something, and its work in that
   * turn.
   */
  #turn = -1;
  #work = 0;
  /** That work when the clock was last read. */
  #asked = 0;
  /**
   * The events that wait, the oldest first; made when the first one has to wait.
   */
  #events: Set<SocketEvent> | undefined;
  #isServed = false;
  /** Whether a short message had a long answer, which takes time, too. */
  #hasSpent = false;
  /** Ends the rest; `undefined`: the connection is not resting. */
  #endRest: (() => void) | undefined;
  #isPaused = false;
  /** The events that waited when this side closed. */
  #left: SocketEvent[] | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  get isWaiting(): boolean {
    return this.#events !== undefined && this.#events.size > 0;
  }

  takes(event: SocketEvent): boolean {
    if (this.#isServed || this.#core.state === "closed") return true;
    // Messages from before the close are handled before it.
    if (event.type === "close") return !this.isWaiting || this.#keep(event);
    const length = lengthOf(event);
    if (this.isWaiting) return this.#hold(event, length);
    if (this.#turn !== turn.number) {
      this.#turn = turn.number;
      this.#work = this.#asked = 0;
    }
    this.#work += leastLength + length;
    if (this.#work - this.#asked < work && !this.#hasSpent) return true;
    this.#asked = this.#work;
    this.#hasSpent = false;
    const now = performance.now();
    turn.isBusy = true;
    if (!turn.isWatched) {
      turn.isWatched = true;
      turn.start = turn.since = now;
      afterTurn(endTurn);
    }
    return !this.#isOver(length, now) || this.#hold(event, length);
  }

  /** Whether the turn has taken so long that this message must wait. */
  #isOver(length: number, now: number): boolean {
    const time = now - turn.start;
    const isLong = length >= longLength;
    if (!this.#isPausable) return time >= (isLong ? span : longSpan);
    if (isLong) {
      if (turn.hasLong) return true;
      turn.hasLong = true;
    }
    return time >= span || connections > 1 && now - turn.since >= rest;
  }

  get #isPausable(): boolean {
    const { ws } = this.#core;
    return ws?.pause !== undefined || canLeave(ws);
  }

  /** Handles events that wait, at least one, until a time; returns the time. */
  serve(until: number): number {
    const core = this.#core;
    const events = this.#events!;
    // They may have been handled out of turn, by `#hold`.
    if (events.size === 0) return performance.now();
    let now = 0;
    let work = 0;
    this.#isServed = true;
    for (const event of events) {
      events.delete(event);
      const length = lengthOf(event);
      if (event.type === "message") letGo(core.connection, length);
      core.listener(event);
      work += leastLength + length;
      if (work < 4 * leastLength && !this.#hasSpent && events.size > 0) {
        continue;
      }
      this.#hasSpent = false;
      work = 0;
      now = performance.now();
      if (length >= longLength && this.#isPausable) turn.hasLong = true;
      if (now >= until || turn.hasLong) break;
    }
    this.#isServed = false;
    if (events.size === 0) this.#resume();
    return now;
  }

  spend(): void {
    this.#hasSpent = true;
  }

  rest(): void {
    // Deno's sockets would have to be paused after each message, others only after
    // a chunk of messages.
    if (this.#core.ws?.pause === undefined) return;
    if (this.#endRest !== undefined || !this.#pause()) return;
    this.#endRest = startTimer(restTime, () => {
      this.#endRest = undefined;
      if (!this.isWaiting) this.#resume();
    });
  }

  end(): void {
    connections--;
    const core = this.#core;
    const left = this.#left ?? [];
    this.#left = undefined;
    // The reason of the close says that there were too many.
    if (core.connection.ended!.code === tooManyRequests) return;
    const what = describeLost(left);
    if (what !== undefined) {
      complain(core, closedError(core, `Cannot take ${what}`));
    }
  }

  stop(isOpen: boolean): void {
    this.#endRest?.();
    this.#endRest = undefined;
    const events = this.#events;
    for (const event of events ?? []) {
      if (event.type === "close" && isOpen) continue;
      events!.delete(event);
      (this.#left ??= []).push(event);
    }
    this.#resume();
    const { waiting } = turn;
    if (this.isWaiting || !waiting.delete(this)) return;
    if (waiting.size > 0 || !turn.isPausing) return;
    cancelEvents();
    turn.isPausing = false;
    afterTurn(endTurn);
  }

  /** Lets an event wait; returns `false`, the answer of {@linkcode takes}. */
  #keep(event: SocketEvent): false {
    const events = this.#events ??= new Set();
    const { waiting } = turn;
    const isFirst = waiting.size === 0;
    waiting.add(this);
    if (isFirst && needsTimers) pause();
    events.add(event);
    return false;
  }

  #hold(event: SocketEvent, length: number): false {
    const core = this.#core;
    while (!hold(core, length)) {
      // A socket that can't be paused isn't heard while its messages are handled.
      if (this.isWaiting) {
        this.serve(0);
        if (isClosed(core)) return false;
        continue;
      }
      const reason =
        `More than ${core.limits.held} characters wait for their turn`;
      cut(core, tooManyRequests, reason);
      return false;
    }
    this.#pause();
    this.#keep(event);
    if (this.#isPaused && core.ws?.pause === undefined) leave(core.ws!, event);
    return false;
  }

  /** Pauses the socket if that is possible; returns whether it is paused. */
  #pause(): boolean {
    if (!this.#isPaused && this.#isPausable) {
      this.#isPaused = true;
      this.#core.ws!.pause?.();
    }
    return this.#isPaused;
  }

  #resume(): void {
    if (!this.#isPaused || this.#endRest !== undefined) return;
    this.#isPaused = false;
    const { ws } = this.#core;
    if (ws?.pause === undefined) readOn(ws!);
    else ws.resume!();
  }
}

// Characters of lost messages that are parsed to count notifications: some
// milliseconds' worth.
const mostCounted = 1_048_576;

/** The number of notifications among lost events, in words; `undefined`: none. */
function describeLost(events: readonly SocketEvent[]): string | undefined {
  let count = 0;
  let length = 0;
  for (const { data } of events) {
    if (typeof data !== "string") continue;
    length += data.length;
    if (length > mostCounted) break;
    count += countNotifications(data);
  }
  if (count === 0) return undefined;
  const more = length > mostCounted ? " or more" : "";
  return `${count}${more} notification${count === 1 ? "" : "s"}`;
}

/** Number of notifications in a frame, without the protocol's own. */
function countNotifications(text: string): number {
  try {
    const all: unknown[] = [JSON.parse(text)].flat();
    return all.filter((message) => {
      const { method, id } = (message ?? {}) as Partial<Request>;
      return id === undefined && typeof method === "string" &&
        !method.startsWith("$/");
    }).length;
  } catch {
    return 0;
  }
}

function lengthOf({ data }: SocketEvent): number {
  return typeof data === "string"
    ? data.length
    : (data as ArrayBuffer | undefined)?.byteLength ?? 0;
}
