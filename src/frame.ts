/**
 * Messages that share a frame, where both ends have agreed to: what costs is the
 * frame, not the message.
 *
 * @see PROTOCOL.md, "Shared frames"
 *
 * @module
 */

/** The subprotocol by which two peers agree to share frames. */
export const sharedFrames = "jsonrpcws.v1";

/**
 * Most bytes of a frame with more than one message: one as long as this costs
 * little more than its messages do.
 */
export const usualLength = 16_384;

const mostMembers = 256;

const other = /[^\0-\x7f]/;

/**
 * Gathers the messages of a turn into frames, in their order.
 *
 * The first of a turn leaves at once, so that who waits for one call's answer
 * before making the next loses no time; unless the last frame that arrived had
 * several messages, which means that there will be more to say.
 */
export class SharedFrames {
  readonly #send: (frame: string) => void;
  readonly #maxLength: number;
  readonly #endTurn = (): void => {
    this.#isTurn = false;
    this.flush();
  };
  #texts: string[] = [];
  #length = 0;
  /** Whether the turn in which something was sent has not ended. */
  #isTurn = false;
  /** Whether the messages of the last frame that arrived had company. */
  isBusy = false;

  /**
   * @param send Hands a frame to the socket.
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
      schedule(this.#endTurn);
      if (!this.isBusy) return this.#send(wrap(text));
    }
    // Three bytes is the most that one UTF-16 code unit takes.
    const length = 1 + text.length * (other.test(text) ? 3 : 1);
    if (
      this.#length + length >= this.#maxLength ||
      this.#texts.length === mostMembers
    ) this.flush();
    this.#texts.push(text);
    this.#length += length;
  }

  /** Forgets what was gathered: its connection is gone. */
  discard(): void {
    this.#texts = [];
    this.#length = 0;
  }

  /** Sends what was gathered. */
  flush(): void {
    const texts = this.#texts;
    if (texts.length === 0) return;
    this.#texts = [];
    this.#length = 0;
    this.#send(texts.length === 1 ? wrap(texts[0]!) : `[${texts.join(",")}]`);
  }
}

/**
 * How long a frame may be where no message may be longer than a limit: the
 * shortest ones share frames, too, and the longest batch has brackets around it.
 */
export function frameLimit(messageLength: number): number {
  return Math.max(messageLength + 2, usualLength);
}

/** A message alone is its own frame; a batch alone must not be taken for one. */
function wrap(text: string): string {
  return text.startsWith("[") ? `[${text}]` : text;
}

// A microtask would be too soon, since each frame that arrives is an event of its
// own; a timer too late, by a factor of ten.
let channel: MessageChannel | undefined;
const tasks: (() => void)[] = [];

/** Runs something when this turn of the event loop ends. */
function schedule(task: () => void): void {
  const { setImmediate } = globalThis as {
    setImmediate?: (task: () => void) => void;
  };
  if (setImmediate !== undefined) return setImmediate(task);
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = (): void => tasks.shift()!();
  }
  tasks.push(task);
  channel.port2.postMessage(null);
}
