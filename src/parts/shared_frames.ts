/**
 * Shared frames: many messages in one frame, if both sides agreed to it. Most of a
 * small message's cost is its frame.
 *
 * @see PROTOCOL.md, "Shared frames"
 *
 * @module
 */

import { Gathered, telling, textsOf } from "../line/gathered.ts";
import { afterTurn } from "../line/task.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { dispatch, eachInTurn, read } from "../peer/hearing.ts";
import type { Living, Sharing } from "../peer/seams.ts";
import { sendFrame, versionOf } from "../peer/sending.ts";
import { batchTooLarge, parseError } from "../wire/codes.ts";
import { isIsolating } from "../runtime/isolates.ts";
import { membersOf } from "../wire/depth.ts";
import { unreadable } from "../wire/message.ts";

/** The part that offers shared frames, and uses them if the other side does. */
export const sharedFrames: CorePart = {
  name: "sharedFrames",
  attach(core) {
    const { sharedFrames, version } = core.options;
    if (!sharedFrames || version === "1.0") return;
    const sharing = new PeerSharing(core);
    core.sharing = sharing;
    core.enlist(sharing);
  },
};

/** The subprotocol by which two peers agree on shared frames. */
export const subprotocol = "jsonrpcws.v1";

/**
 * Most bytes of a frame with more than one message: longer ones would save little
 * more.
 */
export const usualLength = 16_384;

// Most messages of the first frame of a turn, so that the other side can begin
// while this one goes on; each following frame may have twice as many, up to 256.
const firstMembers = 32;
const mostMembers = 256;

// Made for the first frame that has to be measured; not every platform has a
// TextEncoder.
let encoder: TextEncoder | undefined;

// The array that frames are encoded into to be measured. One for all, because a new
// one for each takes six times as long.
let bytes = /* @__PURE__ */ new Uint8Array();

const none: readonly string[] = [];

const offer: readonly string[] = [subprotocol];

// The server's agreement: an array without messages, sent only to a client that
// offered.
const word = "[]";

/** One peer's offer, and the shared frames of its connection. */
class PeerSharing implements Sharing, Living {
  next: Living | undefined;
  readonly mostLength: number;
  readonly #core: Core;
  #frames: SharedFrames | undefined;

  constructor(core: Core) {
    this.#core = core;
    this.mostLength = frameLimit(core.limits.messageLength);
  }

  // Offered in every other attempt: a browser fails if the server selects nothing
  // of the offer.
  offers(failures: number): readonly string[] {
    return failures % 2 === 0 ? offer : none;
  }

  hasFallback(failures: number): boolean {
    return failures === 1;
  }

  get isShared(): boolean {
    return this.#frames !== undefined;
  }

  // A client waits for the server's agreement, because many servers select whatever
  // is offered. A server needs none: no other program's client offers this.
  open(): void {
    const core = this.#core;
    if (core.makeSocket !== undefined) return;
    this.#begin();
    if (core.options.resumed !== true) sendFrame(core, word);
  }

  take(text: string): boolean {
    const core = this.#core;
    const isTaken = text === word && core.ws!.protocol === subprotocol &&
      versionOf(core) !== "1.0";
    if (isTaken) this.#begin();
    return isTaken;
  }

  #begin(): void {
    const core = this.#core;
    this.#frames = new SharedFrames(
      (frame) => void sendFrame(core, frame),
      core.ws!.frameLength,
    );
  }

  stop(isOpen: boolean): void {
    if (isOpen) this.#frames?.flush();
    else this.#frames?.discard();
    this.#frames = undefined;
  }

  push(text: string): void {
    this.#frames!.push(text);
  }

  flush(): void {
    this.#frames?.flush();
  }

  receive(value: unknown, text: string): void {
    const core = this.#core;
    const values = Array.isArray(value) ? value : [value];
    // An empty array has no message, but counts for the rate.
    if (values.length === 0) return void core.bounds?.count();
    this.#each(values, text, (value) => this.#take(value, text));
  }

  // Only the member that is too deep is refused, under its own id.
  receiveDeep(text: string): void {
    const core = this.#core;
    this.#each(membersOf(text), text, (member) => {
      if (core.bounds?.isTooDeep(member, core.limits.depth)) {
        return core.bounds.refuseDepth(member);
      }
      let value: unknown;
      try {
        value = JSON.parse(member);
      } catch {
        const why = unreadable(parseError, "Parse error");
        return dispatch(core, why, member);
      }
      this.#take(value, member);
    });
  }

  #take(value: unknown, text: string): void {
    const core = this.#core;
    if (Array.isArray(value)) core.receiveBatch?.(core, value, text);
    else dispatch(core, read(core, value, text), text);
  }

  #each<T>(
    messages: readonly T[],
    text: string,
    take: (message: T) => void,
  ): void {
    const core = this.#core;
    const { length } = messages;
    const { frameMembers } = core.limits;
    this.#frames!.isBusy = length > 1;
    if (length > frameMembers) {
      const why = `Frame has ${length} of at most ${frameMembers} messages`;
      return dispatch(core, unreadable(batchTooLarge, why), text);
    }
    eachInTurn(core, messages, text, take);
  }
}

/** The frames that were made of a turn's messages. */
interface Frames {
  /** The limit that they were made for. */
  readonly mostLength: number;
  readonly all: readonly string[];
}

// The beginning of every connection's gathered texts, so that connections that are
// sent the same texts share them.
const nothing = /* @__PURE__ */ new Gathered<Frames>();

/**
 * Gathers the messages of a turn into frames, in their order.
 *
 * The first message of a turn leaves at once, so that a caller who makes one call
 * after the other loses no time; unless it is for many, or the last frame that
 * arrived had several messages, whose answers will follow.
 */
class SharedFrames {
  readonly #send: (frame: string) => void;
  readonly #maxLength: number;
  #gathered: Gathered<Frames> = nothing;
  /** Most messages of the next frame. */
  #most = firstMembers;
  /** Whether something was sent in this turn. */
  #isTurn = false;
  /** Whether the last frame that arrived had more than one message. */
  isBusy = false;

  /**
   * @param send Hands a frame to the socket; never throws.
   * @param maxLength Most bytes of a frame with more than one message.
   */
  constructor(send: (frame: string) => void, maxLength: number = usualLength) {
    this.#send = send;
    this.#maxLength = maxLength;
  }

  /** Sends a message, now or at the end of this turn. */
  push(text: string): void {
    if (!this.#isTurn) {
      this.#isTurn = true;
      atEndOfTurn(this);
      if (!this.isBusy && !telling.isForMany) return this.#send(wrap(text));
    }
    const { count, length } = this.#gathered;
    // The length in bytes if all is ASCII, with two brackets and the commas.
    const bytes = length + text.length + count + 2;
    if (bytes > this.#maxLength || count === this.#most) {
      this.flush();
      this.#most = Math.min(2 * this.#most, mostMembers);
    }
    this.#gathered = this.#gathered.with(text);
  }

  /** Forgets the gathered texts, because the connection is gone. */
  discard(): void {
    this.#gathered = nothing;
  }

  /** Sends the gathered texts. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered === nothing) return;
    this.discard();
    let { made } = gathered;
    if (made?.mostLength !== this.#maxLength) {
      const all: string[] = [];
      fill(all, textsOf(gathered), this.#maxLength);
      gathered.made = made = { mostLength: this.#maxLength, all };
    }
    for (const frame of made.all) this.#send(frame);
  }

  /** Ends the turn. */
  endTurn(): void {
    this.#isTurn = false;
    this.#most = firstMembers;
    this.flush();
  }
}

/** Puts messages into one frame, or into several if that is too long. */
function fill(
  frames: string[],
  texts: readonly string[],
  mostLength: number,
): void {
  const frame = join(texts);
  if (texts.length === 1 || fits(frame, mostLength)) {
    frames.push(frame);
    return;
  }
  const half = texts.length >> 1;
  fill(frames, texts.slice(0, half), mostLength);
  fill(frames, texts.slice(half), mostLength);
}

function fits(frame: string, mostLength: number): boolean {
  // One UTF-16 code unit takes at most three bytes.
  if (3 * frame.length <= mostLength) return true;
  // Without an encoder it can't be measured, so it counts as too long.
  if (typeof TextEncoder !== "function") return false;
  if (bytes.length < mostLength) bytes = new Uint8Array(mostLength);
  encoder ??= new TextEncoder();
  const { read, written } = encoder.encodeInto(frame, bytes);
  return read === frame.length && written <= mostLength;
}

/**
 * The longest frame for a limit of messages. Two more characters, for the brackets
 * around the longest batch; at least the usual length, so that short messages share
 * frames under any limit.
 */
function frameLimit(messageLength: number): number {
  return Math.max(messageLength + 2, usualLength);
}

/**
 * A single message is a frame by itself. A single batch gets brackets around it, or
 * it would be read as a shared frame.
 */
function wrap(text: string): string {
  return text.startsWith("[") ? `[${text}]` : text;
}

function join(texts: readonly string[]): string {
  return texts.length === 1 ? wrap(texts[0]!) : `[${texts.join()}]`;
}

// A turn ends by a task, since each frame that arrives is an event of its own and a
// microtask would end the turn after each. One task serves all connections, or a
// message to many would cost as many tasks.
const turn = {
  /** The connections that have sent something in it. */
  sending: [] as SharedFrames[],
  /** The task that ends it; kept for its shape (shapes.ts). */
  task: undefined as unknown,
};

/** Calls `endTurn` at the end of this turn of the event loop. */
function atEndOfTurn(frames: SharedFrames): void {
  if (isIsolating) {
    return void afterTurn(() => {
      frames.endTurn();
      nothing.forget();
    });
  }
  if (turn.sending.push(frames) > 1) return;
  turn.task = afterTurn(endTurns);
}

function endTurns(): void {
  const { sending } = turn;
  turn.sending = [];
  for (const frames of sending) frames.endTurn();
  nothing.forget();
}
