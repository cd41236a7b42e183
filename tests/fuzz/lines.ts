/**
 * How the fuzzer reaches its subject: in memory, or over a real socket.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { PeerOptions } from "../../mod.ts";
import { frame as frameOf, Opcode, RawSocket } from "../interop/raw_socket.ts";
import { ScriptedSocket } from "../scripted_socket.ts";
import { type Platform, until } from "../servers.ts";
import { Subject } from "./subject.ts";

/** Text, or the bytes of a binary frame. */
export type Frame = string | Uint8Array<ArrayBuffer>;

/** How a frame travels: in how many fragments, each after so many pings. */
export interface Way {
  readonly fragments: number;
  readonly pings: number;
}

/** A connection with a subject at its other end. */
export interface Line {
  readonly subject: Subject;
  /** What the subject has sent, and nobody has read. */
  readonly sent: string[];
  /** What a frame is once it has arrived. */
  carry(frame: Frame): Frame;
  /** Gives the subject a frame; done when it has been handled. */
  give(frame: Frame, way: Way): void | Promise<void>;
  /** Ends it from this end. */
  end(isCut: boolean): void | Promise<void>;
  /** Takes it down; throws if something is left. */
  leave(): Promise<void>;
}

/** A line without a network: what is given has been handled at once. */
export class MemoryLine implements Line {
  readonly subject: Subject;
  readonly #socket: ScriptedSocket = new ScriptedSocket();

  constructor(options: PeerOptions) {
    this.subject = new Subject(this.#socket, options);
  }

  get sent(): string[] {
    return this.#socket.sent;
  }

  carry(frame: Frame): Frame {
    return frame;
  }

  give(frame: Frame): void {
    // The socket gives its buffer away.
    this.#socket.receive(
      typeof frame === "string" ? frame : frame.slice().buffer,
    );
  }

  end(isCut: boolean): void {
    this.#socket.end(isCut ? 1006 : 1000, "", !isCut);
  }

  async leave(): Promise<void> {
    this.end(false);
    await this.subject.closed;
    assertEquals(this.#socket.listenerCount, 0);
  }
}

/**
 * A line to a server of the subject's own. A ping after each frame tells when it
 * has been handled.
 */
export class RealLine implements Line {
  readonly subject: Subject;
  readonly sent: string[] = [];
  readonly #socket: RawSocket;
  readonly #close: () => Promise<void>;
  readonly #reading: Promise<void>;
  #pings = 0;
  #pinged: (() => void) | undefined;
  /** What the last of the WebSocket's own pings bore, and the last pong. */
  #lastPing = "";
  #lastPong = "";
  #isOver = false;

  private constructor(
    subject: Subject,
    socket: RawSocket,
    close: () => Promise<void>,
  ) {
    this.subject = subject;
    this.#socket = socket;
    this.#close = close;
    this.#reading = this.#read();
  }

  /** Listens, and connects. */
  static async open(
    platform: Platform,
    { version, limits }: PeerOptions,
  ): Promise<RealLine> {
    let subject: Subject | undefined;
    class Service extends Subject {
      override onopen(): void {
        subject = this;
      }
    }
    const server = await platform.serve(Service, {
      ...version === undefined ? {} : { version },
      ...limits === undefined ? {} : { limits },
    });
    const socket = await RawSocket.connect(server.url);
    await until(() => subject !== undefined);
    return new RealLine(subject!, socket, async () => {
      await until(() => server.peers.size === 0);
      await server.shutdown();
    });
  }

  carry(frame: Frame): Frame {
    return typeof frame === "string" ? frame.toWellFormed() : frame;
  }

  async give(frame: Frame, way: Way): Promise<void> {
    const id = `~${++this.#pings}`;
    const ping = `{"jsonrpc":"2.0","method":"rpc.ping","id":"${id}"}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pinged = resolve;
    await this.#socket.send(
      ...this.#fragments(frame, way),
      frameOf(Opcode.Text, ping),
    ).catch(resolve); // It is cut: what it was told before, it knows.
    if (!this.#isOver) await promise;
    await until(() => this.#isOver || this.#lastPong === this.#lastPing);
    if (this.#isOver) await until(() => this.subject.state === "closed");
  }

  /** A frame as it travels, with pings between its fragments. */
  *#fragments(
    frame: Frame,
    { fragments, pings }: Way,
  ): Generator<Uint8Array> {
    const isText = typeof frame === "string";
    const bytes = isText ? new TextEncoder().encode(frame) : frame;
    const length = Math.max(Math.ceil(bytes.length / fragments), 1);
    let opcode: number = isText ? Opcode.Text : Opcode.Binary;
    for (let at = 0; at === 0 || at < bytes.length; at += length) {
      for (let count = 0; count < pings; count++) {
        this.#lastPing = `${this.#pings} ${at} ${count}`;
        yield frameOf(Opcode.Ping, this.#lastPing);
      }
      const isLast = at + length >= bytes.length;
      yield frameOf(opcode, bytes.slice(at, at + length), isLast);
      opcode = Opcode.Continuation;
    }
  }

  async end(isCut: boolean): Promise<void> {
    if (isCut) {
      // In the middle of a message.
      const half = frameOf(Opcode.Text, '{"jsonrpc":', false);
      await this.#socket.send(half).catch(() => {});
    } else {
      await this.#socket.send(
        frameOf(Opcode.Close, Uint8Array.of(0x03, 0xe8)),
      ).catch(() => {});
      await this.#reading;
    }
    this.#socket[Symbol.dispose]();
    await until(() => this.subject.state === "closed");
  }

  async leave(): Promise<void> {
    this.#socket[Symbol.dispose]();
    await this.#reading;
    await this.subject.closed;
    await this.#close();
  }

  async #read(): Promise<void> {
    for (;;) {
      const received = await this.#socket.receive().catch(() => undefined);
      if (received === undefined || received.opcode === Opcode.Close) break;
      if (received.opcode === Opcode.Pong) {
        this.#lastPong = new TextDecoder().decode(received.payload);
      }
      if (received.opcode !== Opcode.Text) continue;
      const text = new TextDecoder().decode(received.payload);
      if (text.endsWith(`"id":"~${this.#pings}"}`)) this.#pinged?.();
      else this.sent.push(text);
    }
    this.#isOver = true;
    this.#pinged?.();
  }
}
