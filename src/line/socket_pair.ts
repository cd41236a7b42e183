/**
 * Two sockets in memory that are connected to each other, with the events and the
 * failures of the WebSocket standard: for tests without a network.
 *
 * ```ts
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const received = new Promise((resolve) => {
 *   right.addEventListener("message", (event) => resolve(event.data));
 * });
 * left.addEventListener("open", () => left.send("hello"));
 * assertEquals(await received, "hello");
 * ```
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

import { namedError } from "../runtime/errors.ts";
import { fit } from "../wire/utf8.ts";
import { CloseCode } from "../wire/error.ts";
import {
  Listeners,
  ReadyState,
  type Socket,
  type SocketEvent,
} from "./socket.ts";

/** The options of a pair. */
export interface SocketPairOptions {
  /**
   * Whether the sockets are open from the start, as a server's sockets in Node are.
   * Default `false`: they are connecting, and open in the next microtask.
   */
  open?: boolean;
}

/**
 * Makes two sockets that are connected to each other.
 *
 * Messages arrive in order, each in a microtask of its own.
 */
export function socketPair(
  options: SocketPairOptions = {},
): [MemorySocket, MemorySocket] {
  const left = new MemorySocket();
  const right = new MemorySocket();
  connect(left, right, options.open ?? false);
  return [left, right];
}

// Set by the class's static block, so that only socketPair can connect two sockets.
let connect: (left: MemorySocket, right: MemorySocket, open: boolean) => void;

/** One end of an in-memory pair; made by {@linkcode socketPair}. */
export class MemorySocket implements Socket {
  /** Kept for the interface; only text is sent. */
  binaryType = "blob";
  #readyState: number = ReadyState.Connecting;
  #peer: MemorySocket = this;
  readonly #listeners = new Listeners();
  #inbox: SocketEvent[] = [];
  #isDelivering = false;
  #isPaused = false;
  #bufferedAmount = 0;

  static {
    connect = (left, right, open): void => {
      left.#peer = right;
      right.#peer = left;
      for (const socket of [left, right]) {
        if (open) socket.#readyState = ReadyState.Open;
        else socket.#receive({ type: "open" });
      }
    };
  }

  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    return this.#readyState;
  }

  /** Bytes of UTF-8 that were sent to the other end while it is paused. */
  get bufferedAmount(): number {
    return this.#bufferedAmount;
  }

  /**
   * Sends a text message to the other end; does nothing on a socket that is closing
   * or closed.
   *
   * @throws {DOMException} InvalidStateError: the socket is still connecting.
   */
  send(data: string): void {
    if (this.#readyState === ReadyState.Connecting) {
      throw namedError(
        "Cannot send: the socket is still connecting",
        "InvalidStateError",
      );
    }
    if (this.#readyState !== ReadyState.Open) return;
    if (this.#peer.#isPaused) {
      this.#bufferedAmount += fit(data).bytes;
    }
    this.#peer.#receive({ type: "message", data });
  }

  /**
   * Starts the close handshake, which the other end answers by itself unless it is
   * paused.
   *
   * @param code 1000, or 3000 to 4999.
   * @param reason At most 123 bytes of UTF-8.
   * @throws {DOMException} InvalidAccessError: another code. SyntaxError: the
   * reason is too long.
   */
  close(code?: number, reason = ""): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) {
      throw namedError(
        `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
        "InvalidAccessError",
      );
    }
    if (fit(reason).bytes > 123) {
      throw namedError(
        "Cannot close: the reason is longer than 123 bytes",
        "SyntaxError",
      );
    }
    if (this.#readyState === ReadyState.Connecting) return this.terminate();
    if (this.#readyState !== ReadyState.Open) return;
    this.#readyState = ReadyState.Closing;
    this.#peer.#receive({
      type: "close",
      code: code ?? CloseCode.NoStatus,
      reason,
      wasClean: true,
    });
  }

  /** Cuts the connection, as a lost network does: both ends get 1006. */
  terminate(): void {
    for (const socket of [this, this.#peer]) {
      if (socket.#readyState === ReadyState.Closed) continue;
      socket.#isPaused = false;
      socket.#inbox = [];
      socket.#receive({ type: "error", message: "Connection was cut" });
      socket.#receive({
        type: "close",
        code: CloseCode.Abnormal,
        reason: "",
        wasClean: false,
      });
      socket.#readyState = ReadyState.Closing;
    }
  }

  /**
   * Stops reading, as a stuck program does: what the other end sends waits in
   * its `bufferedAmount`, and its close is not answered.
   */
  pause(): void {
    this.#isPaused = true;
  }

  /** Reads on after {@linkcode MemorySocket.pause}. */
  resume(): void {
    this.#isPaused = false;
    this.#peer.#bufferedAmount = 0;
    this.#deliver();
  }

  /** Adds a listener for `"open"`, `"message"`, `"error"` or `"close"`. */
  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.add(type, listener);
  }

  /** Removes a listener. */
  removeEventListener(
    type: string,
    listener: (event: SocketEvent) => void,
  ): void {
    this.#listeners.delete(type, listener);
  }

  #receive(event: SocketEvent): void {
    if (this.#readyState === ReadyState.Closed) return;
    this.#inbox.push(event);
    this.#deliver();
  }

  #deliver(): void {
    if (this.#isDelivering || this.#isPaused || this.#inbox.length === 0) {
      return;
    }
    this.#isDelivering = true;
    queueMicrotask(() => {
      this.#isDelivering = false;
      if (this.#isPaused) return;
      const event = this.#inbox.shift();
      if (event !== undefined) this.#dispatch(event);
      this.#deliver();
    });
  }

  #dispatch(event: SocketEvent): void {
    if (event.type === "open") {
      if (this.#readyState !== ReadyState.Connecting) return;
      this.#readyState = ReadyState.Open;
    }
    // A socket that is closing delivers only its close.
    if (event.type === "message" && this.#readyState !== ReadyState.Open) {
      return;
    }
    if (event.type === "close") {
      if (this.#readyState === ReadyState.Closed) return;
      this.#readyState = ReadyState.Closed;
      if (event.wasClean === true) this.#peer.#receive(event);
    }
    for (const listener of [...this.#listeners.of(event.type)]) {
      try {
        listener(event);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
