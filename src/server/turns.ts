/**
 * Turns: connections of one process share its time. Who sends beyond his share
 * waits, in his socket where it can be paused, else on this side.
 *
 * A turn is one round of the event loop. What a connection sends is handled as it
 * arrives, up to a little work; beyond that the clock is asked, and once the turn
 * has taken long enough, what else it sends waits for the next one. Those who send
 * little never wait for it, nor pay more than an addition for each message.
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
import {
  canLeave,
  leave,
  makeLeavable,
  readOn,
} from "../runtime/deno_pausing.ts";
import { isIsolating } from "../runtime/isolates.ts";
import { afterEvents, cancelEvents, needsTimers } from "../runtime/turns.ts";
import { tooManyRequests } from "../wire/codes.ts";
import type { Request } from "../wire/message.ts";

// Milliseconds of a turn after which who has sent much waits, and which those who
// wait are given together.
const span = 10;

// The same for short messages of a socket that can't be paused: to handle them takes
// no longer than to let them wait.
const longSpan = 40;

// Of longer ones only one is handled in a turn: 1 MiB takes as long as a turn may, to
// parse alone.
const longLength = 65_536;

// Milliseconds of them that one is given before the next.
const slice = 5;

// What a message counts for beside its length, and after how much of that the clock
// is asked: to ask it costs a hundredth of a small message.
const leastLength = 1_024;
const work = 16_384;

// Milliseconds of work in many turns after which a socket that can be paused is, where
// nobody else's would be heard before, and if there is somebody else: it takes a
// seventh of the calls that one connection can make.
const rest = 30;

/** How many connections there are. */
let connections = 0;

// Milliseconds for which nothing is read of whom too much waits for his methods to
// end. Not until they do: it may be his answers that they wait for.
const restTime = 100;

const turn = {
  number: 0,
  start: 0,
  /** When the first of the turns began that followed each other. */
  since: 0,
  /** Whether its end will be told. */
  isWatched: false,
  /** Whether somebody sent much in it. */
  isBusy: false,
  /** Whether a long message was handled in it. */
  hasLong: false,
  /** Whether the next one waits until all sockets were heard. */
  isPausing: false,
  /** Those of whom something waits, in the order of their turns. */
  waiting: [] as ConnectionTurns[],
};

/**
 * Has a peer share the process's time with the others. Not in an isolate, whose clock
 * stands still while something runs, and whose runtime gives each its turns.
 */
export function shareTurns(peer: object): void {
  const core: Core | undefined = coreOf(peer);
  if (core === undefined || isIsolating) return;
  const turns = new ConnectionTurns(core);
  connections++;
  core.turns = turns;
  core.living.push(turns);
}

/** Ends the turn, and begins the next with what waits. */
function endTurn(): void {
  if (turn.isPausing) return;
  const { waiting } = turn;
  turn.number++;
  turn.hasLong = false;
  turn.isWatched = waiting.length > 0 || needsTimers && turn.isBusy;
  turn.isBusy = false;
  if (!turn.isWatched) return;
  let now = turn.start = performance.now();
  if (waiting.length === 0) return void afterTurn(endTurn);
  turn.since = now;
  for (
    const end = now + span;
    now < end && waiting.length > 0 && !turn.hasLong;
  ) {
    const first = waiting.shift()!;
    now = first.serve(now + slice);
    if (first.isWaiting) waiting.push(first);
  }
  if (waiting.length > 0) pause();
  else afterTurn(endTurn);
}

/** Lets everybody else be heard before the next turn. */
function pause(): void {
  if (!needsTimers) return void afterTurn(endTurn);
  turn.isPausing = true;
  afterEvents(endPause);
}

function endPause(): void {
  turn.isPausing = false;
  endTurn();
}

/** What one connection has sent, and waits. */
class ConnectionTurns implements Turns, Living {
  readonly #core: Core;
  /** The turn in which it last sent something, and how much work that was. */
  #turn = -1;
  #work = 0;
  /** Of that, how much when the clock was asked last. */
  #asked = 0;
  /** What waits, the oldest first; made for the first of it. */
  #events: Set<SocketEvent> | undefined;
  #isServed = false;
  /** Whether something short was answered at length, which takes its time, too. */
  #hasSpent = false;
  /** Ends its rest; `undefined`: it has none. */
  #endRest: (() => void) | undefined;
  #isPaused = false;
  /** What waited when this side closed. */
  #left: SocketEvent[] = [];

  constructor(core: Core) {
    this.#core = core;
    if (core.ws !== undefined) makeLeavable(core.ws);
  }

  get isWaiting(): boolean {
    return this.#events !== undefined && this.#events.size > 0;
  }

  takes(event: SocketEvent): boolean {
    if (this.#isServed || this.#core.state === "closed") return true;
    // What was sent before the end is handled before it.
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

  /** Whether the turn has taken long enough. */
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

  /** Handles what waits until a time, one event at least; returns what time it is. */
  serve(until: number): number {
    const core = this.#core;
    const events = this.#events!;
    // It may have been served out of its turn.
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
    // Deno's would rest after each message, where others do after a chunk of them.
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
    const left = this.#left;
    this.#left = [];
    // That there were too many is what the close says; and who made a call is told
    // by his own side.
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
      this.#left.push(event);
    }
    this.#resume();
    const { waiting } = turn;
    const place = waiting.indexOf(this);
    if (place === -1 || this.isWaiting) return;
    waiting.splice(place, 1);
    if (waiting.length > 0 || !turn.isPausing) return;
    cancelEvents();
    turn.isPausing = false;
    afterTurn(endTurn);
  }

  /** Lets something wait: `false`, as {@linkcode takes} says it. */
  #keep(event: SocketEvent): false {
    const events = this.#events ??= new Set();
    const { waiting } = turn;
    if (
      events.size === 0 && !waiting.includes(this) &&
      waiting.push(this) === 1 && needsTimers
    ) pause();
    events.add(event);
    return false;
  }

  #hold(event: SocketEvent, length: number): false {
    const core = this.#core;
    while (!hold(core, length)) {
      // Who can't be paused sends nothing while what he has sent is handled.
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
    // The last thing that is done with what the socket tells.
    if (this.#isPaused && core.ws?.pause === undefined) leave(core.ws!);
    return false;
  }

  /** Whether the socket is paused, because it can be. */
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

// Of what is lost, so much is read to count it: that takes some milliseconds.
const mostCounted = 1_048_576;

/** The notifications among what is lost; `undefined`: there are none. */
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

/** Counts the notifications in a frame, without the protocol's own. */
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
