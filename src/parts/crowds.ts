/**
 * Calls beyond the limit `incoming`: they wait until a running method ends.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import { afterTurn } from "../line/task.ts";
import type {
  Connection,
  Core,
  CorePart,
  Crowd,
  RunningCall,
} from "../peer/core.ts";
import { hold, letAllGo, letGo } from "../peer/held.ts";
import {
  control,
  failWith,
  find,
  isLent,
  start,
  tooMany,
} from "../peer/incoming.ts";
import { closedError, complain } from "../peer/owner.ts";
import { busy } from "../wire/codes.ts";
import type { Notification, Request } from "../wire/message.ts";

/** The part that lets calls wait that are too many to run at once. */
export const crowds: CorePart = {
  name: "crowds",
  attach(core) {
    core.crowd = crowd;
  },
};

const crowd: Crowd = { admits, enter, leave, next, end };

function enter(running: RunningCall): void {
  if (isLent(running)) running.connection.lentRunning++;
}

function leave(running: RunningCall): void {
  if (isLent(running)) running.connection.lentRunning--;
}

function next(core: Core, connection: Connection): void {
  if (connection.waiting !== undefined) beginWaiting(core, connection);
  core.draining?.look();
}

function end(core: Core, connection: Connection): void {
  const waiting = connection.waiting as Set<WaitingCall> | undefined;
  connection.waiting = undefined;
  letAllGo(connection);
  // Only the owner can be told of lost notifications.
  let lost = 0;
  for (const { call } of waiting ?? []) {
    if (call.type === "notification") lost++;
  }
  if (lost > 0) {
    const what = `Cannot take ${lost} notification${lost === 1 ? "" : "s"}`;
    complain(
      core,
      closedError(core, what, false, undefined, false, connection),
    );
  }
  core.draining?.look();
}

const noMore = "Busy: no more calls are taken, not executed";

/** A call that waits for a method to end. */
class WaitingCall {
  readonly running: RunningCall;
  readonly call: Request | Notification;
  /** The text of its frame, and the characters of it that count for `held`. */
  readonly text: string;
  readonly length: number;

  constructor(
    running: RunningCall,
    call: Request | Notification,
    text: string,
    length: number,
  ) {
    this.running = running;
    this.call = call;
    this.text = text;
    this.length = length;
  }
}

/** Whether a call may begin at once. `false`: it waits, or was refused. */
function admits(
  core: Core,
  running: RunningCall,
  call: Request | Notification,
  text: string,
): boolean {
  const { connection, draining, limits: { incoming } } = core;
  // Calls to lent functions count by themselves, because a running method may be
  // waiting for one.
  const lent = isLent(running);
  const size = sizeOf(connection, lent);
  const isFull = size >= incoming || !lent && connection.waiting !== undefined;
  if (!isFull && draining === undefined) return true;
  const isRequest = call.type === "request";
  let why = tooMany(size, incoming);
  if (isRequest && draining !== undefined && !lent) {
    why = noMore;
  } else if (!isFull || lent && !isRequest) {
    return true;
  } else if (!lent && incoming > 0 && letWait(core, running, call, text)) {
    return false;
  }
  if (isRequest) failWith(core, running, busy, why);
  else if (!connection.isDropping) {
    connection.isDropping = true;
    const why =
      `more than ${core.limits.held} characters wait, see limits.held; nor can those that follow`;
    const what = `Cannot take notification "${call.method}"`;
    complain(core, new RangeError(`${what}: ${why}`));
  }
  return false;
}

/** The number of running methods: of lent functions, or of all others. */
function sizeOf({ running, lentRunning }: Connection, lent: boolean): number {
  return lent ? lentRunning : (running?.size ?? 0) - lentRunning;
}

/** Lets a call wait; `false`: too much waits already. */
function letWait(
  core: Core,
  running: RunningCall,
  call: Request | Notification,
  text: string,
): boolean {
  const { connection, limits } = core;
  // The members of one frame count its text once.
  const length = connection.isCharged ? 0 : text.length;
  if (!hold(core, length)) return false;
  connection.isCharged = true;
  const waiting = connection.waiting ??= new Set();
  waiting.add(new WaitingCall(running, call, text, length));
  // In the table, so that it can be cancelled and its id is in use.
  if (call.type === "request") {
    (connection.unanswered ??= new Map()).set(running.id ?? running, running);
  }
  if (connection.held > limits.held / 2) core.turns?.rest();
  return true;
}

// Calls that begin in one turn: methods that take no time could otherwise all begin
// at once.
const mostBegun = 64;

/** Begins waiting calls, as many as there is room for. */
function beginWaiting(core: Core, connection: Connection): void {
  const { waiting } = connection;
  if (waiting === undefined || connection.ended !== undefined) return;
  let begun = 0;
  for (const one of waiting as Set<WaitingCall>) {
    if (sizeOf(connection, false) >= core.limits.incoming) return;
    if (begun++ === mostBegun) {
      return void afterTurn(() => beginWaiting(core, connection));
    }
    if (
      begun > 1 && core.turns?.isSpent() &&
      core.turns.goOn(() => beginWaiting(core, connection), 0, [])
    ) return;
    waiting.delete(one);
    letGo(connection, one.length);
    if (waiting.size === 0) {
      connection.waiting = undefined;
      connection.isDropping = false;
    }
    begin(core, one);
    if (connection.ended !== undefined) return;
  }
}

function begin(core: Core, { running, call, text }: WaitingCall): void {
  if (running.answered) return; // Cancelled meanwhile.
  running.connection.frame++;
  try {
    const method = find(core, call.method);
    if (method === undefined) control(core, running, call);
    else start(core, running, call, method, text);
  } catch (error) {
    complain(core, error);
  }
}

/** Refuses the requests that wait, because no more methods may begin. */
export function refuseWaiting(core: Core): void {
  const { connection } = core;
  for (const one of (connection.waiting ?? []) as Iterable<WaitingCall>) {
    if (one.call.type === "notification") continue;
    connection.waiting!.delete(one);
    letGo(connection, one.length);
    failWith(core, one.running, busy, noMore);
  }
  if (connection.waiting?.size === 0) {
    connection.waiting = undefined;
  }
}
