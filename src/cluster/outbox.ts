/**
 * The outbox of a node: its messages to single other nodes. Only a part of the
 * engine's room is used for them, so that messages in rooms have room; the rest
 * waits, in order.
 *
 * @module
 */

import { startTimer } from "../line/timers.ts";
import { EngineError } from "./engine.ts";
import type { Fields } from "./message.ts";
import type { Node } from "./node.ts";

/** A message for another node. */
export interface Letter {
  readonly node: string;
  readonly kind: string;
  readonly fields: Fields;
  readonly body: string | undefined;
  /**
   * Whether it waits while the engine is lost, because it is still of use
   * afterwards.
   */
  readonly isPatient?: boolean;
  /**
   * Called once the engine has it, with the number of nodes that heard it; see
   * {@linkcode Engine.publish}.
   */
  sent?(heard: number | undefined): void;
  /** Called if the engine doesn't have it, or may not have it. */
  failed(error: unknown): void;
}

// Most messages, and characters of them, on their way to the engine: half of the
// 1,024 messages and 4 MiB that a node may have there.
const mostLeft = 512;
const mostLeftLength = 2_097_152;

// Most letters that wait, and most UTF-16 code units of them.
const mostWaiting = 131_072;
const mostWaitingLength = 67_108_864;

// Milliseconds until the next look while messages in rooms take all the room.
const lookTime = 20;

/** A node's letters to others. */
export class Outbox {
  readonly #node: Node;
  /** A Set, because letters that are withdrawn leave from the middle. */
  readonly #waiting = new Set<Letter>();
  #waitingLength = 0;
  #left = 0;
  #leftLength = 0;
  #stopTimer: (() => void) | undefined;
  #isOver = false;

  constructor(node: Node) {
    this.#node = node;
  }

  /** Sends a letter, now or when its turn comes. */
  send(letter: Letter): void {
    const length = lengthOf(letter);
    const { bus } = this.#node;
    if (this.#isOver || bus.status !== "open" && letter.isPatient !== true) {
      return letter.failed(
        new EngineError(`Cannot publish: the engine is ${bus.status}`, false),
      );
    }
    if (this.#waiting.size === 0 && this.#hasRoom(length)) {
      return this.#hand(letter, length);
    }
    const { size } = this.#waiting;
    if (
      size >= mostWaiting || this.#waitingLength + length > mostWaitingLength
    ) {
      return letter.failed(
        new RangeError(
          `Cannot send to another node: ${size} of at most ${mostWaiting} messages with ${this.#waitingLength} of at most ${mostWaitingLength} characters wait for the engine`,
        ),
      );
    }
    this.#waiting.add(letter);
    this.#waitingLength += length;
    this.advance();
  }

  /** Takes a letter back; `false`: it has been handed to the engine. */
  withdraw(letter: Letter): boolean {
    if (!this.#waiting.delete(letter)) return false;
    this.#waitingLength -= lengthOf(letter);
    return true;
  }

  /** Sends letters that wait, as many as there is room for. */
  advance(): void {
    for (const letter of this.#waiting) {
      const length = lengthOf(letter);
      if (!this.#hasRoom(length)) break;
      this.withdraw(letter);
      this.#hand(letter, length);
    }
    if (this.#waiting.size > 0 && this.#left === 0) this.#wait();
  }

  /** Fails the letters that are of no use after a loss of the engine. */
  lose(): void {
    for (const letter of [...this.#waiting]) {
      if (letter.isPatient !== true && this.withdraw(letter)) {
        letter.failed(
          new EngineError("Cannot publish: the engine is lost", false),
        );
      }
    }
  }

  /** Stops for good. */
  end(): void {
    this.#isOver = true;
    this.#waiting.clear();
    this.#waitingLength = 0;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #hasRoom(length: number): boolean {
    const { bus } = this.#node;
    return bus.status === "open" && this.#left < mostLeft &&
      (this.#left === 0 || this.#leftLength + length <= mostLeftLength) &&
      bus.hasRoom(length);
  }

  #hand(letter: Letter, length: number): void {
    this.#left++;
    this.#leftLength += length;
    const { node, kind, fields, body } = letter;
    const settle = (): void => {
      this.#left--;
      this.#leftLength -= length;
    };
    this.#node.tell(node, kind, fields, body).then((heard) => {
      settle();
      letter.sent?.(heard);
      this.advance();
    }, (error: unknown) => {
      settle();
      // The engine was lost at this moment: a patient letter waits.
      if (
        letter.isPatient === true && !this.#isOver &&
        this.#node.bus.status === "lost" && error instanceof EngineError &&
        !error.sent
      ) this.send(letter);
      else letter.failed(error);
      this.advance();
    });
  }

  /** Looks again soon, because messages in rooms don't tell when they leave. */
  #wait(): void {
    if (this.#isOver || this.#node.bus.status !== "open") return;
    this.#stopTimer ??= startTimer(lookTime, () => {
      this.#stopTimer = undefined;
      this.advance();
    });
  }
}

/** The size of a letter: its body, and 256 for the rest. */
function lengthOf({ body }: Letter): number {
  return 256 + (body?.length ?? 0);
}
