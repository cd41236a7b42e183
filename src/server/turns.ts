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
  core.enlist(turns);
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

/** Reads the clock for a connection that has sent much; the turn will be ended. */
function readClock(): number {
  const now = performance.now();
  turn.isBusy = true;
  if (!turn.isWatched) {
    turn.isWatched = true;
    turn.start = turn.since = now;
    afterTurn(endTurn);
  }
  return now;
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

/** Work that was begun, and goes on in the next turn. */
interface Task {
  /** Does as much of the work as there is time for, at least one piece. */
  run(): void;
  /** Characters that it counts for while it waits. */
  readonly length: number;
  /** The messages that are lost if the connection ends before. */
  readonly messages: readonly unknown[];
}

// Stands for the pings and pongs after the end of a turn. They have been answered, but
// the messages behind them wait.
const controls: SocketEvent = { type: "control" };

/** The turns of one connection: its work in this turn, and its events that wait. */
class ConnectionTurns implements Turns, Living {
  next: Living | undefined;
  readonly #core: Core;
  /**
   * The number of the turn in which it last sent something, and its work in that
   * turn.
   */
  #turn = -1;
  #work = 0;
  /** Its work when the clock was last read. */
  #asked = 0;
  /** Work of pings and pongs since the clock was read for them. */
  #controls = 0;
  /** The tasks that wait, in order; they come before the events. */
  #tasks: Task[] | undefined;
  /** Number of tasks that the running one has added; `undefined`: none runs. */
  #added: number | undefined;
  /**
   * The events that wait, the oldest first; made when the first one has to wait.
   */
  #events: Set<SocketEvent> | undefined;
  #isServed = false;
  /** Whether a short message had a long answer, which takes time, too. */
  #hasSpent = false;
  /** The time until which it is served. */
  #until = 0;
  /** Ends the rest; `undefined`: the connection is not resting. */
  #endRest: (() => void) | undefined;
  #isPaused = false;
  /** The messages that waited when this side closed: texts, or parsed ones. */
  #lost: unknown[] | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  get isWaiting(): boolean {
    return this.#hasTask ||
      this.#events !== undefined && this.#events.size > 0;
  }

  get #hasTask(): boolean {
    return this.#tasks !== undefined &&
      (this.#added ?? this.#tasks.length) > 0;
  }

  takes(event: SocketEvent): boolean {
    if (this.#isServed || this.#core.state === "closed") return true;
    // Messages from before the close are handled before it.
    if (event.type === "close") return !this.isWaiting || this.#keep(event);
    const length = lengthOf(event);
    if (this.isWaiting) return this.#hold(event, length);
    const now = this.#count(length);
    return now === undefined || !this.#mustWait(length, now) ||
      this.#hold(event, length);
  }

  count(): void {
    if (this.#core.state === "closed") return;
    if (!this.isWaiting) {
      // Apart from the work of messages: those have to wait only for their own.
      this.#controls += leastLength;
      if (this.#controls < work) return;
      this.#controls = 0;
      if (!this.#mustWait(0, readClock())) return;
    }
    if (this.#pause()) this.#keep(controls);
  }

  spend(): void {
    this.#hasSpent = true;
  }

  isSpent(): boolean {
    return (this.#hasSpent || this.#hasTask) && this.isOver();
  }

  isOver(): boolean {
    // Work that waits already comes first.
    if (this.#hasTask) return true;
    const now = this.#count(0);
    if (now === undefined) return false;
    return this.#isServed ? now >= this.#until : now - turn.start >= span;
  }

  goOn(run: () => void, length: number, messages: readonly unknown[]): boolean {
    const core = this.#core;
    if (isClosed(core) || !hold(core, length)) return false;
    const tasks = this.#tasks ??= [];
    tasks.splice(this.#added ?? tasks.length, 0, { run, length, messages });
    if (this.#added !== undefined) this.#added++;
    if (this.#isServed) return true;
    // Deno's sockets are paused with the next message: the state of the socket may be
    // looked at while this one is handled.
    if (core.ws?.pause !== undefined) this.#pause();
    this.#enlist();
    return true;
  }

  /** Counts work; returns the time if there was enough of it to read the clock. */
  #count(length: number): number | undefined {
    if (this.#turn !== turn.number) {
      this.#turn = turn.number;
      this.#work = this.#asked = 0;
    }
    this.#work += leastLength + length;
    if (this.#work - this.#asked < work && !this.#hasSpent) return undefined;
    this.#asked = this.#work;
    this.#hasSpent = false;
    return readClock();
  }

  /** Whether the turn has taken so long that this message must wait. */
  #mustWait(length: number, now: number): boolean {
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

  /** Does waiting work until a time, at least one piece; returns the time. */
  serve(until: number): number {
    // It may have been done out of turn, by `#hold`.
    if (!this.isWaiting) return performance.now();
    let now: number;
    this.#isServed = true;
    this.#until = until;
    do {
      now = this.#hasTask ? this.#runTask() : this.#handleEvents(until);
    } while (now < until && !turn.hasLong && this.isWaiting);
    this.#isServed = false;
    if (!this.isWaiting) this.#resume();
    return now;
  }

  #runTask(): number {
    const core = this.#core;
    const { run, length } = this.#tasks!.shift()!;
    letGo(core.connection, length);
    this.#added = 0;
    try {
      run();
    } catch (error) {
      complain(core, error);
    }
    this.#added = undefined;
    this.#hasSpent = false;
    return performance.now();
  }

  /** Handles events until a time, or until there is a task. */
  #handleEvents(until: number): number {
    const core = this.#core;
    const events = this.#events!;
    let now = 0;
    let work = 0;
    for (const event of events) {
      events.delete(event);
      const length = lengthOf(event);
      if (event.type === "message") letGo(core.connection, length);
      if (event !== controls) core.listener(event);
      work += leastLength + length;
      if (
        work < 4 * leastLength && !this.#hasSpent && events.size > 0 &&
        !this.#hasTask
      ) continue;
      this.#hasSpent = false;
      work = 0;
      now = performance.now();
      if (length >= longLength && this.#isPausable) turn.hasLong = true;
      if (now >= until || turn.hasLong || this.#hasTask) break;
    }
    return now;
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
    const lost = this.#lost ?? [];
    this.#lost = undefined;
    // The reason of the close says that there were too many.
    if (core.connection.ended!.code === tooManyRequests) return;
    const what = describeLost(lost);
    if (what !== undefined) {
      complain(core, closedError(core, `Cannot take ${what}`));
    }
  }

  stop(isOpen: boolean): void {
    this.#endRest?.();
    this.#endRest = undefined;
    for (const { run, messages } of this.#tasks ?? []) {
      (this.#lost ??= []).push(...messages);
      // Run even though the connection has ended, for whatever waits for the tasks.
      queueMicrotask(run);
    }
    this.#tasks = undefined;
    const events = this.#events;
    for (const event of events ?? []) {
      if (event.type === "close" && isOpen) continue;
      events!.delete(event);
      (this.#lost ??= []).push(event.data);
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
    this.#enlist();
    (this.#events ??= new Set()).add(event);
    return false;
  }

  /** Asks for a turn, because work waits. */
  #enlist(): void {
    const { waiting } = turn;
    const isFirst = waiting.size === 0;
    waiting.add(this);
    if (isFirst && needsTimers) pause();
  }

  /** Lets a message wait; returns whether it is to be handled now, after all. */
  #hold(event: SocketEvent, length: number): boolean {
    const core = this.#core;
    while (!hold(core, length)) {
      // No more than pings were to be waited for.
      if (
        !this.#hasTask && this.#events?.size === 1 &&
        this.#events.delete(controls)
      ) {
        this.#resume();
        return true;
      }
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

/** The number of notifications among lost messages, in words; `undefined`: none. */
function describeLost(lost: readonly unknown[]): string | undefined {
  let count = 0;
  let length = 0;
  for (const one of lost) {
    if (typeof one === "string") length += one.length;
    if (length > mostCounted) break;
    count += countNotifications(one);
  }
  if (count === 0) return undefined;
  const more = length > mostCounted ? " or more" : "";
  return `${count}${more} notification${count === 1 ? "" : "s"}`;
}

/** Number of notifications in a frame or a message, without the protocol's own. */
function countNotifications(it: unknown): number {
  try {
    const all: unknown[] = [typeof it === "string" ? JSON.parse(it) : it]
      .flat();
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
