/**
 * Calls to a peer on whatever node: both ends of them, and how peers are closed from
 * afar.
 *
 * The node that calls writes the params once; the callee's node doesn't read them, its
 * peer sends them on as they are. What the peer answers comes back as JSON, too. Of the
 * time-out, of cancelling and of `sent` there is one implementation, the peer's own;
 * here is what the way between two nodes adds to it.
 *
 * @module
 */

import { abnormal, checkCode, cutReason, isSendable } from "../line/close.ts";
import { Deadlines, type Sweeper } from "../line/deadlines.ts";
import { startTimer } from "../line/timers.ts";
import { writePlain } from "../parts/carrying.ts";
import { isStreaming, leaveStream } from "../parts/streams.ts";
import type { CallOptions } from "../peer/call.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
  Remote,
  ResultOf,
} from "../peer/contract.ts";
import { type Core, usualTimeout } from "../peer/core.ts";
import { close } from "../peer/life.ts";
import { checkMethod, notify, rejectLate, request } from "../peer/outgoing.ts";
import { entrustedTo, stateOf } from "../peer/owner.ts";
import { createRemote } from "../peer/remote.ts";
import { cannotNotify, versionOf } from "../peer/sending.ts";
import { cannotRequest } from "../peer/waiting.ts";
import { namedError, reasonOf } from "../runtime/errors.ts";
import { readAmount } from "../wire/amount.ts";
import { busy, internalError, responseTooLarge } from "../wire/codes.ts";
import {
  type CloseInfo,
  ConnectionClosedError,
  hide,
  RpcError,
} from "../wire/error.ts";
import {
  JsonText,
  type Params,
  readError,
  writeParams,
  writeValue,
} from "../wire/message.ts";
import { EngineError } from "./engine.ts";
import {
  type BusMessage,
  type Fields,
  readCount,
  readPeerId,
} from "./message.ts";
import type { Handler, Node } from "./node.ts";
import { type Letter, Outbox } from "./outbox.ts";

/**
 * The options of a call of a {@linkcode RemotePeer}: those of
 * {@linkcode CallOptions}, without `onprogress` and `members`, which don't travel
 * between nodes. Progress still counts as a sign of life.
 */
export type RemoteCallOptions = Pick<
  CallOptions,
  "idempotent" | "signal" | "timeout"
>;

/** The outcome of closing peers on all nodes. */
export interface Disconnected {
  /** Number of peers that were closed. */
  readonly closed: number;
  /** The nodes that did not answer within 2 seconds. */
  readonly missing: string[];
}

/** The peers to close: all with a key, or the one with an id. */
export type Target =
  | { readonly key: string; readonly id?: undefined }
  | { readonly id: string; readonly key?: undefined };

/** A call that waits for the other node's answer. */
interface Waiting {
  readonly letter: Letter;
  readonly node: string;
  readonly method: string;
  readonly timeout: number;
  readonly idempotent: boolean;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The time when it is given up. */
  deadline: number;
  /**
   * The time when it is given up if the other node hasn't confirmed that it has the
   * call; Infinity: it has.
   */
  due: number;
  /** Removes the listener to the caller's signal. */
  readonly release: (() => void) | undefined;
}

/** A call that runs for another node. */
interface Running {
  readonly controller: AbortController;
  /**
   * The time when the caller is told that it runs; Infinity: the caller was told,
   * and there was no progress since.
   */
  tellAt: number;
}

/** A question to all nodes to close peers. */
interface Asking {
  readonly nodes: Set<string>;
  closed: number;
  readonly finish: () => void;
}

// Most calls that wait for other nodes, and most that run for them.
const mostCalls = 65_536;

// Milliseconds that the other node has to confirm a call: as long as it may be
// silent before it is taken for dead.
const wordTime = 6_000;

// Milliseconds after which a node confirms a call that it hasn't answered yet.
const tellTime = 1_000;

// Milliseconds that nodes have to answer how many peers they closed.
const answerTime = 2_000;

// Milliseconds since the last look after which this process counts as having slept
// or been too busy to read messages.
const lateAfter = 2_000;

const noResponse = "No response to request";

/**
 * Calls between nodes: from this node to peers of others, and from others to its
 * own.
 */
export class Calls implements Sweeper {
  readonly #node: Node;
  readonly #waiting = new Map<number, Waiting>();
  /** The calls that run for other nodes, by node and by its number of the call. */
  readonly #running = new Map<string, Map<number, Running>>();
  #runningSize = 0;
  readonly #asking = new Map<number, Asking>();
  readonly #outbox: Outbox;
  #last = 0;
  /** The time of the last look for due calls. */
  #lookedAt = 0;
  #isOver = false;
  readonly #deadlines: Deadlines = new Deadlines(wordTime, this);

  constructor(node: Node) {
    this.#node = node;
    this.#outbox = new Outbox(node);
    const hear = (kind: string, handler: Handler): void =>
      node.onInbox(kind, (message) => {
        // Ignores own messages, which no part of this node sends to itself.
        if (message.node !== node.id && !this.#isOver) handler(message);
      });
    hear("call", (message) => this.#run(message));
    hear("cancel", (message) => this.#stop(message));
    hear("took", (message) => this.#hear(message));
    hear("done", (message) => this.#settle(message));
    hear("unsupported", (message) => this.#refuse(message));
    hear("tell", (message) => this.#tell(message));
    hear("close", (message) => this.#close(message));
    hear("closed", (message) => this.#count(message));
    node.onAll("close", (message) => {
      if (message.node !== node.id && !this.#isOver) this.#close(message);
    });
    node.watch({
      nodeWent: (other) => this.#forget(other),
      engineChanged: (status) =>
        status === "open" ? this.#outbox.advance() : this.#lose(),
    });
  }

  /** Sends a request to a peer; see {@linkcode RemotePeer.request}. */
  request(
    id: string,
    method: string,
    params?: Params,
    options: RemoteCallOptions = {},
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      checkMethod(cannotRequest, method);
      const { signal, idempotent = false } = options;
      const timeout = readAmount("timeout", options.timeout ?? usualTimeout);
      if (signal?.aborted) throw reasonOf(signal);
      const text = writeFor(`${cannotRequest} "${method}"`, params);
      const refuse = (reason: string): Error =>
        this.#closedError(method, false, { ...abnormal, reason }, idempotent);
      if (this.#isOver) throw refuse("the cluster is closed");
      const node = readPeerId(id)?.node;
      if (node === undefined || node === this.#node.id) {
        const core = this.#node.resident(id)?.core;
        if (core === undefined) throw refuse("there is no such peer");
        return resolve(ask(core, method, text, { ...options, timeout }));
      }
      // Refused, because a node that was only paused would run it later.
      if (!this.#node.isAlive(node)) throw refuse("its node is not there");
      if (this.#waiting.size >= mostCalls) {
        throw new RangeError(
          `${cannotRequest} "${method}": ${mostCalls} of at most ${mostCalls} wait for other nodes`,
        );
      }
      const call = this.#next();
      const abort = signal &&
        ((): void => this.#cancel(call, reasonOf(signal)));
      if (abort !== undefined) signal?.addEventListener("abort", abort);
      const letter: Letter = {
        node,
        kind: "call",
        fields: {
          c: call,
          to: id,
          m: method,
          ...timeout < Infinity && { t: timeout },
        },
        body: text,
        sent: (heard) => {
          if (heard === 0) this.#fail(call, false, "there is no such node");
        },
        failed: (error) => this.#failToSend(call, error),
      };
      if (this.#waiting.size === 0) this.#lookedAt = performance.now();
      this.#waiting.set(call, {
        letter,
        node,
        method,
        timeout,
        idempotent,
        resolve,
        reject,
        deadline: this.#deadlines.after(timeout),
        due: this.#deadlines.after(wordTime),
        release: abort && ((): void => {
          signal?.removeEventListener("abort", abort);
        }),
      });
      this.#outbox.send(letter);
    });
  }

  /** Sends a notification to a peer; see {@linkcode RemotePeer.notify}. */
  notify(id: string, method: string, params?: Params): boolean {
    checkMethod(cannotNotify, method);
    const text = writeFor(`${cannotNotify} "${method}"`, params);
    const node = readPeerId(id)?.node;
    if (node === undefined || this.#isOver) return false;
    if (node === this.#node.id) {
      const core = this.#node.resident(id)?.core;
      return core !== undefined && tell(core, method, text);
    }
    if (this.#node.status !== "open" || !this.#node.isAlive(node)) return false;
    this.#send(node, "tell", { to: id, m: method }, text);
    return true;
  }

  /** Closes a peer; see {@linkcode RemotePeer.close}. */
  close(id: string, code = 1000, reason = ""): void {
    checkCode(code);
    const node = readPeerId(id)?.node;
    if (node === undefined || this.#isOver) return;
    if (node === this.#node.id) this.#closeOwn({ to: id }, code, reason);
    else this.#send(node, "close", { to: id, code, reason: cutReason(reason) });
  }

  /** Closes peers on all nodes; see {@linkcode Cluster.disconnect}. */
  async disconnect(
    { key, id }: Target,
    code = 1000,
    reason = "",
  ): Promise<Disconnected> {
    checkCode(code);
    if (typeof (key ?? id) !== "string") {
      throw new TypeError(
        `Cannot disconnect: name a key or an id, got ${typeof (key ?? id)}`,
      );
    }
    const who = key === undefined ? { to: id } : { key };
    const closed = this.#closeOwn(who, code, reason);
    const only = key === undefined ? readPeerId(id)?.node ?? "" : undefined;
    const nodes = new Set(this.#node.others);
    if (only !== undefined) {
      for (const node of nodes) if (node !== only) nodes.delete(node);
    }
    if (this.#isOver || only === this.#node.id || only === "") {
      return { closed, missing: [] };
    }
    return await new Promise((resolve) => {
      const call = this.#next();
      const finish = (): void => {
        stop();
        if (!this.#asking.delete(call)) return;
        resolve({ closed: asking.closed, missing: [...nodes] });
      };
      const asking: Asking = { nodes, closed, finish };
      const stop = startTimer(answerTime, finish);
      this.#asking.set(call, asking);
      const fields = { c: call, ...who, code, reason: cutReason(reason) };
      const sent = only === undefined
        ? this.#node.tellAll("close", fields)
        : this.#node.tell(only, "close", fields);
      sent.then((heard) => {
        // Nobody heard it: the node is gone, and so are its peers.
        if (heard === 0) nodes.clear();
        if (nodes.size === 0 && (heard === 0 || only === undefined)) finish();
      }, finish);
    });
  }

  /** Ends everything that concerns a node that is gone. */
  #forget(node: string): void {
    for (const [call, waiting] of this.#waiting) {
      if (waiting.node !== node) continue;
      // The other node is told, too: if it was only paused, it finds this behind
      // the call.
      this.#abandon(call, waiting, "its node is gone");
    }
    const running = this.#running.get(node) ?? new Map<number, Running>();
    this.#runningSize -= running.size;
    this.#running.delete(node);
    for (const [call, { controller }] of running) {
      const reason = "the caller's node was taken for dead";
      controller.abort(aborted(`Cannot answer: ${reason}`));
      const said = { ...abnormal, reason, sent: true };
      this.#send(node, "done", { c: call, e: "closed" }, JSON.stringify(said));
    }
    for (const { nodes, finish } of [...this.#asking.values()]) {
      // A node that is gone has no peers to close.
      if (nodes.delete(node) && nodes.size === 0) finish();
    }
  }

  /**
   * Fails all calls that wait, because answers may have been lost with the engine.
   * For calls on their way, the engine's own error says whether they were sent.
   */
  #lose(): void {
    this.#outbox.lose();
    for (const call of [...this.#waiting.keys()]) {
      this.#fail(call, true, "the engine was lost");
    }
    for (const { finish } of [...this.#asking.values()]) finish();
  }

  /** Ends all calls: the cluster is closed. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const [call, { letter }] of [...this.#waiting]) {
      const sent = !this.#outbox.withdraw(letter);
      this.#fail(call, sent, "the cluster is closed");
    }
    for (const { finish } of [...this.#asking.values()]) finish();
    for (const calls of this.#running.values()) {
      for (const { controller } of calls.values()) {
        controller.abort(aborted("The cluster is closed"));
      }
    }
    this.#running.clear();
    this.#runningSize = 0;
    this.#outbox.end();
    this.#deadlines.clear();
  }

  sweep(now: number): number {
    let next = Infinity;
    const isLate = now - this.#lookedAt > lateAfter;
    this.#lookedAt = now;
    for (const [call, waiting] of [...this.#waiting]) {
      if (isLate && waiting.due < Infinity) waiting.due = now + lateAfter;
      const { method, timeout, deadline, due } = waiting;
      if (deadline <= now) {
        const message =
          `No sign of life from request "${method}" within ${timeout} ms`;
        this.#cancel(
          call,
          this.#entrusted(namedError(message, "TimeoutError")),
        );
      } else if (due <= now) {
        const why = "its node has not said that it has the call";
        this.#abandon(call, waiting, why);
      } else next = Math.min(next, deadline, due);
    }
    for (const [node, calls] of this.#running) {
      for (const [call, running] of calls) {
        if (running.tellAt <= now) {
          running.tellAt = Infinity;
          this.#send(node, "took", { c: call });
        } else next = Math.min(next, running.tellAt);
      }
    }
    return next;
  }

  report(error: unknown): void {
    this.#node.report(error);
  }

  #next(): number {
    this.#last = this.#last === Number.MAX_SAFE_INTEGER ? 1 : this.#last + 1;
    return this.#last;
  }

  // The caller's side.

  #take(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    waiting?.release?.();
    return waiting;
  }

  /** Gives a call up: rejects it, and tells the other node. */
  #cancel(call: number, reason: unknown): void {
    const waiting = this.#take(call);
    if (waiting === undefined) return;
    waiting.reject(reason);
    this.#tellOfEnd(call, waiting);
  }

  /** Gives up a call that won't get a response. */
  #abandon(call: number, waiting: Waiting, reason: string): void {
    const sent = !this.#outbox.withdraw(waiting.letter);
    this.#fail(call, sent, reason);
    if (sent) this.#tellOfEnd(call, waiting);
  }

  /** Tells the other node that a call isn't wanted any more, if it may have it. */
  #tellOfEnd(call: number, { node, letter }: Waiting): void {
    if (!this.#outbox.withdraw(letter)) this.#send(node, "cancel", { c: call });
  }

  /** Rejects a call that won't get a response. */
  #fail(call: number, sent: boolean, reason: string, cause?: unknown): void {
    const waiting = this.#take(call);
    if (waiting === undefined) return;
    const info = { ...abnormal, reason };
    const { method, idempotent } = waiting;
    waiting.reject(this.#closedError(method, sent, info, idempotent, cause));
  }

  #failToSend(call: number, error: unknown): void {
    if (error instanceof EngineError) {
      return this.#fail(call, error.sent, error.message, error);
    }
    this.#take(call)?.reject(
      error instanceof Error ? this.#entrusted(error) : error,
    );
  }

  /**
   * The number of the call that a message is about; `undefined` if this node didn't
   * make it at the sender.
   */
  #callOf({ node, fields }: BusMessage): number | undefined {
    const call = readCount(fields, "c");
    return call !== undefined && this.#waiting.get(call)?.node === node
      ? call
      : undefined;
  }

  /** Takes the other node's confirmation of a call. */
  #hear(message: BusMessage): void {
    const waiting = this.#waiting.get(this.#callOf(message) ?? 0);
    if (waiting === undefined) return;
    waiting.due = Infinity;
    waiting.deadline = this.#deadlines.after(waiting.timeout);
  }

  /** Takes the answer of an older node, which doesn't know this kind of message. */
  #refuse(message: BusMessage): void {
    const call = this.#callOf(message);
    if (call !== undefined) {
      return this.#fail(call, false, "its node knows no such calls");
    }
    this.#count(message);
  }

  #settle(message: BusMessage): void {
    const { fields, body } = message;
    const waiting = this.#take(this.#callOf(message) ?? 0);
    if (waiting === undefined) return;
    const { method, idempotent, resolve, reject } = waiting;
    let value: unknown;
    try {
      value = body === "" ? undefined : JSON.parse(body);
    } catch (cause) {
      const message = `Cannot read response to "${method}": it is no JSON`;
      return reject(this.#entrusted(new RangeError(message, { cause })));
    }
    if (fields.e === undefined) return resolve(value);
    const { e } = fields;
    resolve(rejectLate(() => this.#errorOf(method, idempotent, e, value)));
  }

  /** The error of a call that failed on its node. */
  #errorOf(
    method: string,
    idempotent: boolean,
    kind: unknown,
    value: unknown,
  ): Error {
    if (kind === "rpc") {
      const error = this.#entrusted(readError(value));
      hide(error, "method", method);
      return error;
    }
    const said = (typeof value === "object" ? value : null) as {
      readonly [member: string]: unknown;
    } | null;
    const message = typeof said?.message === "string"
      ? said.message
      : "Unknown error";
    switch (kind) {
      case "closed": {
        const { code, reason, wasClean, sent } = said ?? {};
        const info: CloseInfo = {
          code: Number.isInteger(code) ? code as number : abnormal.code,
          reason: typeof reason === "string" ? reason : "",
          wasClean: wasClean === true,
        };
        return this.#closedError(method, sent !== false, info, idempotent);
      }
      case "time":
        return this.#entrusted(namedError(message, "TimeoutError"));
      case "type":
        return this.#entrusted(new TypeError(message));
      case "range":
        return this.#entrusted(new RangeError(message));
    }
    return this.#entrusted(new Error(message));
  }

  #closedError(
    method: string,
    sent: boolean,
    info: CloseInfo,
    idempotent: boolean,
    cause?: unknown,
  ): ConnectionClosedError {
    const what = sent ? noResponse : cannotRequest;
    return this.#entrusted(
      new ConnectionClosedError(`${what} "${method}"`, info, sent, {
        idempotent,
        ...cause !== undefined && { cause },
      }),
    );
  }

  /**
   * Marks an error, so that it ends no process if nobody handles it, and isn't
   * taken for an error of this side's methods.
   */
  #entrusted<E extends Error>(error: E): E {
    return entrustedTo(this, error, (unheard) => this.#node.report(unheard));
  }

  // The callee's side.

  #run({ node, fields, body }: BusMessage): void {
    const { to, m, t } = fields;
    const call = readCount(fields, "c");
    if (call === undefined || this.#running.get(node)?.has(call)) return;
    const fail = (e: string, value: object): void =>
      this.#answer(node, { c: call, e }, JSON.stringify(value));
    if (typeof to !== "string" || typeof m !== "string") {
      const message = "Cannot read call: it names no peer, or no method";
      return fail("type", { message });
    }
    const core = this.#node.resident(to)?.core;
    if (core === undefined) {
      const reason = "there is no such peer";
      return fail("closed", { ...abnormal, reason, sent: false });
    }
    if (this.#runningSize >= mostCalls) {
      const message =
        `Busy: ${mostCalls} of at most ${mostCalls} calls run for other nodes, not executed`;
      return fail("rpc", { code: busy, message });
    }
    const running: Running = {
      controller: new AbortController(),
      tellAt: this.#deadlines.after(tellTime),
    };
    const calls = this.#running.get(node) ?? new Map<number, Running>();
    this.#running.set(node, calls.set(call, running));
    this.#runningSize++;
    const { signal } = running.controller;
    ask(core, m, body, {
      signal,
      timeout: typeof t === "number" && t >= 0 ? t : Infinity,
      onprogress: (): void => {
        if (running.tellAt < Infinity) return;
        running.tellAt = this.#deadlines.after(tellTime);
      },
    }).then(
      (result) => {
        if (!this.#leave(node, call, running)) return;
        this.#answer(node, { c: call }, writeValue(result));
      },
      (error: unknown) => {
        if (!this.#leave(node, call, running)) return;
        fail(...describe(error));
      },
    );
  }

  /** Removes a call that has ended; `false`: its caller doesn't wait any more. */
  #leave(node: string, call: number, running: Running): boolean {
    const calls = this.#running.get(node);
    if (calls?.get(call) !== running) return false;
    calls.delete(call);
    if (calls.size === 0) this.#running.delete(node);
    this.#runningSize--;
    return true;
  }

  /** Cancels a call at its caller's request. */
  #stop({ node, fields }: BusMessage): void {
    const call = readCount(fields, "c") ?? 0;
    const running = this.#running.get(node)?.get(call);
    if (running === undefined || !this.#leave(node, call, running)) return;
    running.controller.abort(aborted("The caller cancelled the call"));
  }

  /** Sends an answer; if the engine is lost, after it is back. */
  #answer(node: string, fields: Fields, body: string | undefined): void {
    this.#outbox.send({
      node,
      kind: "done",
      fields,
      body,
      isPatient: true,
      failed: (error) => {
        if (!(error instanceof RangeError)) return this.#overhear(error);
        const { message } = error;
        const said = JSON.stringify({ code: responseTooLarge, message });
        this.#send(node, "done", { ...fields, e: "rpc" }, said);
      },
    });
  }

  #tell({ fields: { to, m }, body }: BusMessage): void {
    if (typeof to !== "string" || typeof m !== "string") return;
    const core = this.#node.resident(to)?.core;
    // Its RangeError, for one that is too long for the peer, goes to the owner.
    if (core !== undefined) tell(core, m, body);
  }

  #close({ node, fields }: BusMessage): void {
    const { code = 1000, reason = "" } = fields;
    if (!isSendable(code as number) || typeof reason !== "string") return;
    const closed = this.#closeOwn(fields, code as number, reason);
    const call = readCount(fields, "c");
    if (call !== undefined) this.#send(node, "closed", { c: call, closed });
  }

  /** Closes the peers of this node that are meant. */
  #closeOwn(
    { to, key }: { readonly to?: unknown; readonly key?: unknown },
    code: number,
    reason: string,
  ): number {
    const only = typeof to === "string" ? this.#node.resident(to) : undefined;
    const residents = typeof key === "string"
      ? this.#node.residentsOf(key)
      : only === undefined
      ? []
      : [only];
    let closed = 0;
    for (const { core } of residents) {
      if (stateOf(core) === "closed") continue;
      close(core, code, reason);
      closed++;
    }
    return closed;
  }

  #count({ node, fields }: BusMessage): void {
    const asking = this.#asking.get(readCount(fields, "c") ?? 0);
    if (asking === undefined) return;
    asking.nodes.delete(node);
    asking.closed += readCount(fields, "closed") ?? 0;
    if (asking.nodes.size === 0) asking.finish();
  }

  /** Sends a message that nobody waits for. */
  #send(node: string, kind: string, fields: Fields, body?: string): void {
    const failed = (error: unknown): void => this.#overhear(error);
    this.#outbox.send({ node, kind, fields, body, failed });
  }

  /**
   * Reports an error of such a message, except the engine's, which its status
   * tells.
   */
  #overhear(error: unknown): void {
    if (!(error instanceof EngineError)) this.#node.report(error);
  }
}

/** The implementation of {@linkcode RemotePeer}. */
class Distant {
  readonly id: string;
  readonly #calls: Calls;
  #remote: Remote<unknown> | undefined;

  constructor(calls: Calls, id: string) {
    this.#calls = calls;
    this.id = id;
  }

  get remote(): Remote<unknown> {
    return this.#remote ??= this.with({});
  }

  with(options: RemoteCallOptions): Remote<unknown> {
    return createRemote((method, params) =>
      this.#calls.request(this.id, method, params, options)
    );
  }

  request(
    method: string,
    params?: Params,
    options?: RemoteCallOptions,
  ): Promise<unknown> {
    return this.#calls.request(this.id, method, params, options);
  }

  notify(method: string, params?: Params): boolean {
    return this.#calls.notify(this.id, method, params);
  }

  close(code?: number, reason?: string): void {
    this.#calls.close(this.id, code, reason);
  }
}

/**
 * A peer on any node, by its id; made by {@linkcode Cluster.peer}.
 *
 * @typeParam Theirs The type of its other side's `local`.
 */
export interface RemotePeer<Theirs = unknown> {
  /** Its id in the cluster: its node's id, a dot, and a number. */
  readonly id: string;
  /**
   * The other side's methods; see {@linkcode Peer.remote}. A call rejects as
   * {@linkcode RemotePeer.request} does.
   */
  readonly remote: Remote<Theirs>;
  /** The other side's methods, called with these options. */
  with(options: RemoteCallOptions): Remote<Theirs>;
  /**
   * Sends a request and waits for its response, as {@linkcode Peer.request} does.
   * Streams and functions can't be passed between nodes, in either direction.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @param options A signal, a time-out.
   * @returns The response's `result`; `undefined` if the response had none.
   * @throws {RpcError} The peer answered with an error.
   * @throws {ConnectionClosedError} The peer is closed or was never there, its node is
   * gone, or the engine was lost; `sent` says whether the method may have run.
   * @throws {DOMException} `TimeoutError`: there was no sign of life in time. If
   * `options.signal` aborted, its reason is thrown instead, whatever it is. Both
   * cancel the call.
   * @throws {TypeError} The params can't be written as JSON, or hold a stream or a
   * function; nothing was sent. Or the result is a stream or a function, which was
   * released.
   * @throws {RangeError} A limit of this node, the engine or the peer is reached;
   * nothing was sent. Or, if the message begins with "Cannot read response", the
   * answer is too long or too deep.
   */
  request<Method extends MethodName<Theirs>>(
    method: Method,
    ...rest: ParamsFor<MethodOf<Theirs, Method>, [options?: RemoteCallOptions]>
  ): Promise<ResultOf<MethodOf<Theirs, Method>>>;
  /**
   * Sends a request by a name that the type of the other side doesn't know, or
   * with a result that only the caller knows.
   *
   * @typeParam Result What the caller expects; not checked.
   */
  request<Result = unknown, Method extends string = string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
    options?: RemoteCallOptions,
  ): Promise<Result>;
  /**
   * Sends a notification: a call without a response.
   *
   * @returns Whether it was taken: by the peer, if that is on this node, else for
   * its node. Whether it arrives there isn't known.
   * @throws {TypeError} The params can't be written as JSON, or hold a stream or a
   * function.
   * @throws {RangeError} The message is too long, for a peer of this node.
   */
  notify<Method extends MethodName<Theirs>>(
    method: Method,
    ...params: ParamsFor<MethodOf<Theirs, Method>>
  ): boolean;
  /**
   * Sends a notification by a name that the type of the other side doesn't know.
   */
  notify<Method extends string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
  ): boolean;
  /**
   * Closes its connection, as {@linkcode Peer.close} does.
   * {@linkcode Cluster.disconnect} with the id also tells whether it was closed.
   *
   * @param code 1000 (the default), 1001 to 1014, or 3000 to 4999.
   * @param reason At most 123 bytes of UTF-8; the rest is cut off.
   * @throws {RangeError} The code can't be sent.
   */
  close(code?: number, reason?: string): void;
}

/** Makes the {@linkcode RemotePeer} of an id. */
export function remotePeer<Theirs>(
  calls: Calls,
  id: string,
): RemotePeer<Theirs> {
  if (typeof id !== "string") {
    throw new TypeError(`Cannot call a peer: its id is a ${typeof id}`);
  }
  return new Distant(calls, id) as unknown as RemotePeer<Theirs>;
}

/**
 * Writes params for a peer on another node.
 *
 * @throws {TypeError} They can't be written as JSON, or hold a stream or a
 * function.
 */
export function writeFor(
  what: string,
  params: Params | undefined,
): string | undefined {
  try {
    if (Object.values(params ?? {}).some(isStreaming)) {
      throw new TypeError("a stream can't be passed to another node");
    }
    return writePlain(() => writeParams(params));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TypeError(`${what}: ${why}`, { cause: error });
  }
}

/** The params of a call, from the text that another node wrote. */
function readParams(core: Core, text: string | undefined): Params | undefined {
  if (text === undefined || text === "") return undefined;
  // Parsed for a 1.0 peer, which has no params by name, so that they are checked.
  return versionOf(core) === "1.0" ? JSON.parse(text) : new JsonText(text);
}

/** Calls a peer of this node. */
async function ask(
  core: Core,
  method: string,
  text: string | undefined,
  options: CallOptions,
): Promise<unknown> {
  const params = readParams(core, text);
  const result = await request(core, method, params, options);
  if (!leaveStream(result) && !letGo(result, 0)) return result;
  throw entrustedTo(
    core,
    new TypeError(
      `Cannot read response to "${method}": a stream or a function can't be passed to another node`,
    ),
    (error) => core.report(error),
  );
}

/** Sends a notification to a peer of this node; `false`: it was not taken. */
function tell(core: Core, method: string, text: string | undefined): boolean {
  return notify(core, method, readParams(core, text));
}

// The depth to which references are read.
const maxDepth = 1_000;

/** Releases the references in a peer's result; `false`: there were none. */
function letGo(value: unknown, depth: number): boolean {
  if (typeof value === "function") {
    (value as Partial<Disposable>)[Symbol.dispose]?.();
    return true;
  }
  if (typeof value !== "object" || value === null || depth > maxDepth) {
    return false;
  }
  let isLent = false;
  for (const member of Object.values(value)) {
    if (letGo(member, depth + 1)) isLent = true;
  }
  return isLent;
}

/**
 * An error in the form in which it is sent between nodes: its kind and its members.
 */
function describe(error: unknown): [kind: string, said: object] {
  if (error instanceof RpcError) return ["rpc", error];
  if (error instanceof ConnectionClosedError) {
    const { code, reason, wasClean, sent } = error;
    return ["closed", { code, reason, wasClean, sent }];
  }
  const { message, name } = error as Error;
  if (name === "TimeoutError") return ["time", { message }];
  if (error instanceof TypeError) return ["type", { message }];
  if (error instanceof RangeError) return ["range", { message }];
  return ["rpc", { code: internalError, message: "Internal error" }];
}

function aborted(message: string): Error {
  return namedError(message, "AbortError");
}
