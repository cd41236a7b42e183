/**
 * Messages that share a frame, where both ends have agreed to: what costs is the
 * frame, not the message.
 *
 * @see PROTOCOL.md, "Shared frames"
 *
 * @module
 */

import { Gathered, telling, textsOf } from "../line/gathered.ts";
import { afterTurn } from "../line/task.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { dispatch, read } from "../peer/hearing.ts";
import { complain } from "../peer/owner.ts";
import type { Living, Sharing } from "../peer/seams.ts";
import { sendFrame, versionOf } from "../peer/sending.ts";
import { batchTooLarge, parseError } from "../wire/codes.ts";
import { isIsolating } from "../runtime/isolates.ts";
import { membersOf } from "../wire/depth.ts";
import { unreadable } from "../wire/message.ts";

/** Lets a peer offer to share frames, and do so where the other end does. */
export const sharedFrames: CorePart = {
  name: "sharedFrames",
  attach(core) {
    const { sharedFrames, version } = core.options;
    if (!sharedFrames || version === "1.0") return;
    const sharing = new PeerSharing(core);
    core.sharing = sharing;
    core.living.push(sharing);
  },
};

/** The subprotocol by which two peers agree to share frames. */
export const subprotocol = "jsonrpcws.v1";

/**
 * Most bytes of a frame with more than one message: one as long as this costs
 * little more than its messages do.
 */
export const usualLength = 16_384;

// The first frame of a turn is short, so that the other end is at work on it while
// this one goes on; each that follows may be twice as long.
const firstMembers = 32;
const mostMembers = 256;

// Made for the first frame that has to be measured: not every platform has one.
let encoder: TextEncoder | undefined;

// Where frames are written to be measured: into one array, because to make one for
// each would take six times as long.
let bytes = /* @__PURE__ */ new Uint8Array();

const none: readonly string[] = [];

const offer: readonly string[] = [subprotocol];

// An array of no messages: to a client that offered, and to nobody else.
const word = "[]";

/** One peer's offer to share, and the frames of its connection. */
class PeerSharing implements Sharing, Living {
  readonly mostLength: number;
  readonly #core: Core;
  #frames: SharedFrames | undefined;

  constructor(core: Core) {
    this.#core = core;
    this.mostLength = frameLimit(core.limits.messageLength);
  }

  // A browser fails where a server selects nothing of what it is offered.
  offers(failures: number): readonly string[] {
    return failures % 2 === 0 ? offer : none;
  }

  hasFallback(failures: number): boolean {
    return failures === 1;
  }

  get isShared(): boolean {
    return this.#frames !== undefined;
  }

  // A client waits for the server's word: many a server selects whatever it is
  // offered. No other program's client offers this.
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
    // It says nothing, but who sends it is to be paced, too.
    if (values.length === 0) return void core.bounds?.count();
    this.#each(values, text, (value) => this.#take(value, text));
  }

  // Its other messages are not to blame, and who sent one too deep is told which.
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
    if (Array.isArray(value)) core.batches?.receive(value, text);
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
    for (const message of messages) {
      if (core.state !== "open") return;
      try {
        take(message);
      } catch (error) {
        complain(core, error); // The others are not to blame.
      }
    }
  }
}

/** What the messages of a turn become. */
interface Frames {
  /** Most bytes of one with more than one message. */
  readonly mostLength: number;
  readonly all: readonly string[];
}

// Who has gathered nothing has this, so that all who are told the same share it.
const nothing = /* @__PURE__ */ new Gathered<Frames>();

/**
 * Gathers the messages of a turn into frames, in their order.
 *
 * The first of a turn leaves at once, so that who waits for one call's answer
 * before making the next loses no time; unless it is for many, or the last frame that
 * arrived had several messages, which means that there will be more to say.
 */
class SharedFrames {
  readonly #send: (frame: string) => void;
  readonly #maxLength: number;
  #gathered: Gathered<Frames> = nothing;
  /** Most messages of the next frame. */
  #most = firstMembers;
  /** Whether the turn in which something was sent has not ended. */
  #isTurn = false;
  /** Whether the messages of the last frame that arrived had company. */
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
    // Were they ASCII: two brackets, and the commas.
    const bytes = length + text.length + count + 2;
    if (bytes > this.#maxLength || count === this.#most) {
      this.flush();
      this.#most = Math.min(2 * this.#most, mostMembers);
    }
    this.#gathered = this.#gathered.with(text);
  }

  /** Forgets what was gathered: its connection is gone. */
  discard(): void {
    this.#gathered = nothing;
  }

  /** Sends what was gathered. */
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

  /** The turn in which something was sent has ended. */
  endTurn(): void {
    this.#isTurn = false;
    this.#most = firstMembers;
    this.flush();
  }
}

/** Puts messages into one frame, or into as many as it takes. */
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
  // Three bytes is the most that one UTF-16 code unit takes.
  if (3 * frame.length <= mostLength) return true;
  // Without one, only what is sure to fit shares a frame.
  if (typeof TextEncoder !== "function") return false;
  if (bytes.length < mostLength) bytes = new Uint8Array(mostLength);
  encoder ??= new TextEncoder();
  const { read, written } = encoder.encodeInto(frame, bytes);
  return read === frame.length && written <= mostLength;
}

/**
 * How long a frame may be where no message may be longer than a limit: the
 * shortest ones share frames, too, and the longest batch has brackets around it.
 */
function frameLimit(messageLength: number): number {
  return Math.max(messageLength + 2, usualLength);
}

/** A message alone is its own frame; a batch alone must not be taken for one. */
function wrap(text: string): string {
  return text.startsWith("[") ? `[${text}]` : text;
}

function join(texts: readonly string[]): string {
  return texts.length === 1 ? wrap(texts[0]!) : `[${texts.join()}]`;
}

// A microtask would be too soon, since each frame that arrives is an event of its
// own. And one task is for all connections, or what is told to many at once would
// cost as many.
const turn = {
  /** Those that have sent something in it. */
  sending: [] as SharedFrames[],
  /** The task that ends it; the last one is kept for its shape (shapes.ts). */
  task: undefined as unknown,
};

/** Tells when this turn of the event loop ends. */
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
