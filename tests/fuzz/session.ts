/**
 * One connection of the fuzzer's, from its first frame to what is left of it: the
 * steps, which can be taken again, and what must hold after each.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Limits, PeerOptions, Version } from "../../mod.ts";
import { coreOf } from "../../src/peer/base.ts";
import { completeLimits } from "../../src/wire/limits.ts";
import { ScriptedSocket } from "../scripted_socket.ts";
import { type Platform, platforms } from "../servers.ts";
import type { Knowledge } from "./frames.ts";
import { Ledger } from "./ledger.ts";
import {
  type Frame,
  type Line,
  MemoryLine,
  RealLine,
  type Way,
} from "./lines.ts";
import type { Random } from "./random.ts";
import { Subject } from "./subject.ts";

/** Something that happens. */
export type Step =
  | { readonly type: "frame"; readonly frame: Frame; readonly way?: Way }
  | { readonly type: "act"; readonly number: number }
  | { readonly type: "turn" }
  | { readonly type: "gates" }
  | { readonly type: "canary"; readonly id: string };

/** A peer's settings. */
export interface Setting {
  readonly version: Version | undefined;
  readonly isShared: boolean;
  readonly limits: Partial<Limits>;
  /** How it is ended: in peace, by its owner, by its peer, by the network. */
  readonly end: "peace" | "close" | "closed" | "cut";
  /** The server that it is an instance of; `undefined`: none, in memory. */
  readonly platform: Platform["name"] | undefined;
}

// Near enough that what goes beyond them is often met.
const narrow: Partial<Limits> = {
  messageLength: 1_000,
  sentLength: 1_000,
  depth: 8,
  batchMembers: 4,
  frameMembers: 5,
  idLength: 8,
  methodLength: 30,
  incoming: 6,
  held: 0,
  outgoing: 6,
  streams: 2,
  references: 2,
};

/**
 * Decides what a session is like.
 *
 * @param isReal Whether it goes over a real socket.
 */
export function createSetting(random: Random, isReal: boolean): Setting {
  const isOffered = random.oneIn(4) && !isReal;
  const rate = random.pick<Partial<Limits>>([
    {},
    {},
    {},
    { invalidMessages: 10 },
  ]);
  const version = random.pick<Version | undefined>(
    [undefined, undefined, "2.0", "2.0", "1.0", "bare"],
  );
  return {
    version,
    isShared: isOffered && version !== "1.0",
    limits: { ...(random.oneIn(3) ? narrow : {}), ...rate },
    end: random.pick(["peace", "peace", "close", "closed", "cut"]),
    platform: isReal ? random.pick(platforms).name : undefined,
  };
}

/** One connection. */
export class Session {
  readonly setting: Setting;
  readonly subject: Subject;
  readonly ledger: Ledger;
  readonly #line: Line;
  readonly #limits: Limits;
  /** The subject's requests that were not answered, by id. */
  readonly #asked = new Map<number, string>();
  /** Its requests that are answered in the end, in case that they were not. */
  readonly #waiting = new Set<number>();
  /** The streams that it has told of, which are left in the end. */
  readonly #tokens = new Set<number>();
  #canaries = 0;

  private constructor(setting: Setting, limits: Limits, line: Line) {
    const { version, isShared } = this.setting = setting;
    this.#limits = limits;
    this.#line = line;
    this.subject = line.subject;
    const isReal = setting.platform !== undefined;
    this.ledger = new Ledger({ limits, isShared, isReal, version });
  }

  /** Begins one. */
  static async open(setting: Setting): Promise<Session> {
    const { version, isShared } = setting;
    const limits = completeLimits(setting.limits);
    const options: PeerOptions = {
      sharedFrames: isShared,
      limits,
      ...version === undefined ? {} : { version },
    };
    const platform = platforms.find(({ name }) => name === setting.platform);
    const line = platform === undefined
      ? new MemoryLine(options)
      : await RealLine.open(platform, options);
    await line.subject.opened;
    return new Session(setting, limits, line);
  }

  /** Whether it has been closed. */
  get isOver(): boolean {
    return this.subject.state === "closed";
  }

  /** What its frames are made by. */
  get knowledge(): Knowledge {
    const { messageLength, idLength, methodLength, depth } = this.#limits;
    return {
      isShared: this.setting.isShared,
      asked: this.#asked,
      messageLength,
      idLength,
      methodLength,
      depth,
    };
  }

  /**
   * Takes one step.
   *
   * @throws {Error} Something does not hold.
   */
  async take(step: Step): Promise<void> {
    if (this.isOver) return;
    switch (step.type) {
      case "frame":
        await this.#give(step.frame, step.way);
        break;
      case "act":
        this.subject.act(step.number);
        break;
      case "gates":
        this.subject.openGates();
        break;
      case "turn":
        break;
      case "canary":
        return await this.#sing(step.id);
    }
    this.#read();
    if (step.type === "turn") await this.#turn();
    this.#check();
  }

  /**
   * Ends it.
   *
   * @throws {Error} Something was left, or something does not hold.
   */
  async finish(): Promise<void> {
    const { subject } = this;
    const { end } = this.setting;
    await this.#browse();
    if (end === "peace" && !this.isOver) await this.#settle();
    this.#read();
    if (!this.isOver) {
      if (end === "closed" || end === "cut") {
        await this.#line.end(end === "cut");
      } else subject.close();
    }
    // What was gathered leaves before the close, and nothing after it.
    const { length } = this.#line.sent;
    subject.openGates();
    for (let count = 0; count < 5; count++) await turn();
    const isReal = this.setting.platform !== undefined;
    check(
      isReal || this.#line.sent.length === length,
      "something was sent after the close",
    );
    this.#read();
    await this.#line.leave();
    check(subject.open.size === 0, "a call was left without an answer");
    check(subject.running.length === 0, "a method was left running");
    check(subject.signals.size === 0, "a method was not told to stop");
    check(subject.begun === subject.over, "a generator was left");
    const { connection } = coreOf(subject);
    check(
      connection.held === 0 && connection.kept === 0,
      "something was left on an account",
    );
    this.#check();
    await this.#browse();
  }

  /**
   * Reads what was stored by another connection.
   *
   * @throws {Error} It is not the data that it was, or its sender was asked for more.
   */
  async #browse(): Promise<void> {
    const { stored } = this.subject;
    if (stored.length === 0) return;
    await turn(); // What was gathered leaves.
    const { length } = this.#line.sent;
    const socket = new ScriptedSocket();
    const reader = new Subject(socket, {}, stored);
    await reader.opened;
    const wanted = [stored, ...stored];
    for (const id of wanted.keys()) {
      socket.receive(
        { jsonrpc: "2.0", method: "stored", params: [id - 1].slice(+!id), id },
      );
    }
    await turn();
    const answers = socket.take() as { id: number; result?: unknown }[];
    check(answers.length === wanted.length, "what was stored was not answered");
    for (const { id, result } of answers) {
      // A function that is all of it: another one's is refused, an own one is lent.
      if (typeof wanted[id] === "function") continue;
      const data = JSON.stringify(dataOf(wanted[id]) ?? null);
      check(
        JSON.stringify(result) === data,
        "what was stored is not what it was",
      );
    }
    check(reader.unexpected.length === 0, "a reader was told what is not his");
    check(this.#line.sent.length === length, "who stored something was asked");
    socket.end(1000, "", true);
    await reader.closed;
  }

  /** Leaves it as it is; something does not hold. */
  abandon(): void {
    this.subject.close();
    this.subject.openGates();
    this.#line.leave().catch(() => {});
  }

  /** Answers all that is asked, until nothing is; then nothing may be owed. */
  async #settle(): Promise<void> {
    for (let round = 0; round < 100 && !this.isOver; round++) {
      this.subject.openGates();
      await this.#turn();
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const id of waiting) {
        const error = '{"code":5,"message":"No"}';
        await this.#give(`{"jsonrpc":"2.0","error":${error},"id":${id}}`);
      }
      // Others may wait for their turn.
      const tokens = [...this.#tokens];
      this.#tokens.clear();
      for (const token of tokens) {
        const method = '"$/enumerator/abort"';
        await this.#give(
          `{"jsonrpc":"2.0","method":${method},"params":[${token}]}`,
        );
      }
      if (waiting.length === 0 && this.ledger.owed.length === 0) break;
    }
    if (this.isOver) return;
    const { owed } = this.ledger;
    check(owed.length === 0, `requests were not answered: ${owed}`);
    await this.#sing("the last");
  }

  async #give(
    given: Frame,
    way: Way = { fragments: 1, pings: 0 },
  ): Promise<void> {
    const { subject, ledger } = this;
    if (this.isOver) return;
    // What was answered by now is owed no more.
    this.#read();
    const frame = this.#line.carry(given);
    const { mustClose, mayClose } = ledger.give(frame, subject.version);
    const handled = this.#line.give(frame, way);
    if (handled !== undefined) await handled;
    for (const id of idsOf(frame)) this.#asked.delete(id);
    const { code, reason } = subject.ends.at(-1) ?? {};
    if (!this.isOver) {
      check(mustClose === undefined, `it was not closed with ${mustClose}`);
    } else {
      check(
        code === mustClose || code !== undefined && mayClose.includes(code),
        `it was closed with ${code}, ${reason}`,
      );
    }
  }

  /** Reads what the subject has sent. */
  #read(): void {
    for (const text of this.#line.sent.splice(0)) {
      for (const [, token] of text.matchAll(/"token":(\d+)/g)) {
        this.#tokens.add(Number(token));
      }
      for (const call of this.ledger.take(text, this.subject.version)) {
        const { id, method, params } = call;
        if (id !== undefined) {
          this.#asked.set(id, method);
          this.#waiting.add(id);
        }
        if (method === "$/cancelRequest") {
          this.#asked.delete((params as { id: number }).id);
        }
      }
    }
    if (this.isOver) this.ledger.forgive();
  }

  async #turn(): Promise<void> {
    await turn();
    this.#read();
  }

  /** Sees that it lives: that it answers, and what it is asked. */
  async #sing(id: string): Promise<void> {
    this.subject.openGates();
    await this.#turn();
    if (this.isOver) return;
    const { answers } = this.ledger;
    const name = `${id}${++this.#canaries}`.slice(-8);
    for (const method of ["rpc.ping", "echo"]) {
      const key = `${name}${method[0]}`.slice(-8);
      await this.#give(
        `{"jsonrpc":"2.0","method":"${method}","params":["${key}"],"id":"${key}"}`,
      );
      await this.#turn();
      if (this.isOver) return;
    }
    check(this.ledger.answers >= answers + 2, "the canary is dead");
  }

  #check(): void {
    const { unexpected } = this.subject;
    if (unexpected.length > 0) {
      throw new Error("onerror was told what is nobody's fault", {
        cause: unexpected[0],
      });
    }
    check(
      this.subject.unmatched <= this.ledger.responses,
      "more responses were ignored than came",
    );
  }
}

/** The data that a value was read as, without what could be called. */
function dataOf(value: unknown): unknown {
  // One of another peer's is written as null, one of this side's as JSON does.
  if (typeof value === "function") {
    return Symbol.dispose in value ? null : undefined;
  }
  if (Array.isArray(value)) return value.map(dataOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries(value).map(([name, member]) => [
        name,
        { value: dataOf(member), enumerable: true },
      ]),
    ),
  );
}

/** Lets everything that is due happen. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The ids that a frame has responses to, as far as that can be told. */
function idsOf(frame: string | Uint8Array): number[] {
  try {
    const text = typeof frame === "string"
      ? frame
      : new TextDecoder().decode(frame);
    const messages: unknown = JSON.parse(text);
    return [messages].flat(3)
      .filter((it) =>
        typeof it === "object" && it !== null && !("method" in it)
      )
      .map((it) => (it as { id?: unknown }).id)
      .filter((id) => typeof id === "number");
  } catch {
    return [];
  }
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
