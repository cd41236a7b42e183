/**
 * A core with all that a peer can do: batches, frames that are shared, limits on
 * what arrives, signs of life, slow readers, traces, discovery.
 *
 * @module
 */

import { Backlog, type Sender } from "../parts/backlog.ts";
import type { CallOptions } from "./call.ts";
import { Core, type CoreOwner, enumeratorNext } from "./core.ts";
import { Deferred } from "./deferred.ts";
import {
  CloseCode,
  type CloseInfo,
  ErrorCode,
  RpcError,
} from "../wire/error.ts";
import type { Asked } from "./extension.ts";
import {
  frameLimit,
  SharedFrames,
  sharedFrames,
} from "../parts/shared_frames.ts";
import { readFrame, readSharedFrame } from "../wire/frame_reader.ts";
import { Heartbeat, type Patient } from "../parts/heartbeat.ts";
import type { IncomingBatch, Running } from "./incoming.ts";
import {
  type Id,
  type Invalid,
  type Message,
  type Notification,
  type Params,
  readError,
  type Request,
  type Response,
  writeRequest,
} from "../wire/message.ts";
import { invoke, type Method } from "../methods/methods.ts";
import type { PeerOptions } from "./options.ts";
import type { OutgoingBatch, Pending } from "./pending.ts";
import { type Entry, isWanted } from "./queue.ts";
import { Bucket, Recent } from "../parts/rate.ts";
import type { Socket } from "../line/socket.ts";
import {
  readTrace,
  type Trace,
  type TraceContext,
  writeTrace,
} from "../parts/trace.ts";

/** Whose connection it is, and who is told of it: a peer. */
export interface Owner extends CoreOwner {
  /** Hears of a frame that is no JSON-RPC; `true`: it has dealt with it. */
  oninvalid(text: string, error: RpcError): boolean | void;
}

// What a peer says that could not read a message. With any other code it could:
// some answer notifications that they don't know, and such an answer is not about
// a call.
const unreadable: readonly number[] = [
  0,
  ErrorCode.ParseError,
  ErrorCode.InvalidRequest,
  ErrorCode.RequestTooLarge,
  ErrorCode.BatchTooLarge,
];

// How long a response is that says so little, but for its id.
const refusalLength = 112;

/** The state of a peer that can do everything. */
export class Full extends Core implements Sender, Patient {
  declare readonly owner: Owner;
  readonly #discover: ((local: object) => unknown) | undefined;
  readonly #trace: Trace | undefined;
  readonly #mayShare: boolean;
  /** None, unless something arrived, and where anything may as often as it likes. */
  #rate: Bucket | undefined;
  #invalid: Recent | undefined;
  readonly #backlog: Backlog;
  readonly #heartbeat: Heartbeat;
  /** The id of the last ping, until it is answered. */
  #ping: number | undefined;
  /** Where messages that share frames leave; `undefined`: each has its own. */
  #shared: SharedFrames | undefined;
  /** What is being collected. */
  #batch: OutgoingBatch | undefined;
  /** The ids of the batches that are not answered. */
  #batchIds: Set<Id> | undefined;
  /** There once no more methods may begin; settled when the last has answered. */
  #finished: Deferred<void> | undefined;
  /** How many responses arrived that no request was waiting for. */
  unmatched = 0;
  /**
   * The id that followed the last notification, until a later request has been
   * answered: some peers answer notifications with an error, and no call is to
   * blame for it. 0: none.
   */
  #suspect = 0;

  constructor(owner: Owner, ws: Socket, options: PeerOptions<unknown>) {
    super(owner, ws, options);
    this.#discover = options.discover;
    this.#trace = options.trace;
    this.#mayShare = options.sharedFrames ?? false;
    this.#backlog = new Backlog(this);
    this.#heartbeat = new Heartbeat(this, this.#backlog);
  }

  /** The names of the methods that run and have not answered. */
  get running(): string[] {
    const unanswered: string[] = [];
    for (const { answered, method } of this.incoming.unsettled ?? []) {
      if (!answered) unanswered.push(method);
    }
    return unanswered;
  }

  // What leaves.

  override request(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<unknown> {
    const promise = super.request(method, params, options);
    this.#batch?.promises.push(promise);
    return promise;
  }

  override post(what: string, pending: Pending, text: string): void {
    const batch = this.#batch;
    if (batch === undefined) return super.post(what, pending, text);
    pending.batch = batch;
    batch.pending.add(pending);
    batch.members.push({ text, pending });
  }

  override deliver(method: string, text: string): boolean {
    if (this.#batch !== undefined && this.ended === undefined) {
      text = this.traced(text);
      this.checkLength("Cannot send notification", method, text);
      this.#batch.members.push({ text, pending: undefined });
      return true;
    }
    this.#suspect = this.pending.nextId;
    return super.deliver(method, text);
  }

  override tell(method: string, params: Params): boolean {
    if (this.version === "2.0") this.#suspect = this.pending.nextId;
    return super.tell(method, params);
  }

  override transmit(text: string): void {
    if (this.#shared !== undefined) return this.#shared.push(text);
    this.ws.send(text);
    this.#backlog.add(text.length);
  }

  /** Nobody waits for what goes wrong at the end of a turn. */
  #sendFrame(frame: string): void {
    try {
      this.ws.send(frame);
    } catch (error) {
      this.socketError = error;
    }
    this.#backlog.add(frame.length);
  }

  override traced(text: string): string {
    if (this.#trace === undefined || this.version !== "2.0") return text;
    try {
      return writeTrace(text, this.#trace.send());
    } catch (error) {
      this.complain(error);
      return text;
    }
  }

  /** Resolves when nearly everything has left. */
  drained(): Promise<void> {
    return this.ended === undefined
      ? this.#backlog.drained()
      : Promise.reject(this.closedError("Cannot drain", this.hasOpened));
  }

  /** Sends what `collect` asks for as one frame. */
  batch<T>(collect: () => T): T {
    if (this.#batch !== undefined) return collect();
    const batch: OutgoingBatch = {
      members: [],
      pending: new Set(),
      promises: [],
    };
    this.#batch = batch;
    try {
      const result = collect();
      this.#batch = undefined;
      this.#sendBatch(batch);
      return result;
    } catch (error) {
      this.#batch = undefined;
      this.#rejectBatch(batch, error);
      // The caller is told by the throw, and may never have seen the promises.
      for (const promise of batch.promises) promise.catch(() => {});
      throw error;
    }
  }

  #sendBatch(batch: OutgoingBatch): void {
    const { members } = batch;
    if (members.length === 0) return;
    const limit = this.limits.batchMembers;
    if (members.length > limit) {
      throw new RangeError(
        `Cannot send batch: it has ${members.length} of at most ${limit} members`,
      );
    }
    const isOne = this.version === "2.0";
    const text = join(members);
    if (isOne) this.checkLength("Cannot send", "batch", text);
    // Its requests were rejected one by one.
    if (this.ended !== undefined) return;
    const entries = isOne ? [{ text, pending: undefined, batch }] : members;
    if (this.hasOpened && !this.isLosing()) {
      for (const entry of entries) this.sendEntry(entry);
    } else this.enqueue("Cannot send", "batch", ...entries);
  }

  /** A batch goes without the members that were given up meanwhile. */
  override sendEntry(entry: Entry): void {
    const { batch } = entry;
    if (batch === undefined) return super.sendEntry(entry);
    const members = batch.members.filter(isWanted);
    if (members.length === 0) return;
    if (this.version !== "2.0") {
      for (const member of members) super.sendEntry(member);
      return;
    }
    for (const { pending } of members) if (pending) pending.sent = true;
    if (this.send(join(members))) return;
    for (const { pending } of members) if (pending) pending.sent = false;
    this.#rejectBatch(batch, this.closedError("Cannot send batch", false));
  }

  #rejectBatch(batch: OutgoingBatch, error: unknown): void {
    for (const { id } of batch.pending) this.pending.take(id)?.reject(error);
  }

  // The life of the socket.

  override start(): void {
    const { ws } = this;
    // A client's socket says whether the server wants to.
    if (
      this.#mayShare && (ws.renew === undefined || ws.protocol === sharedFrames)
    ) {
      this.#shared = new SharedFrames(
        (frame) => this.#sendFrame(frame),
        ws.frameLength,
      );
    }
    this.#heartbeat.start();
  }

  override stop(isOpen: boolean): void {
    if (isOpen) this.#shared?.flush();
    else this.#shared?.discard();
    this.#shared = undefined;
    this.#batchIds = undefined;
    this.#suspect = 0;
    this.#ping = undefined;
    this.#heartbeat.stop();
  }

  override cut(code: number, reason: string): void {
    // What waits to leave may itself be what is too much.
    this.#shared?.flush();
    super.cut(code, reason);
  }

  override finish(info: CloseInfo, isClosing: boolean): void {
    super.finish(info, isClosing);
    this.#backlog.end(() => this.closedError("Cannot drain", this.hasOpened));
  }

  /** Lets no more methods begin; resolves when those that run have answered. */
  finishCalls(): Promise<void> {
    this.#finished ??= new Deferred();
    // One that is before its first `await`, which may be who asks, counts too.
    queueMicrotask(() => this.onsettled());
    return this.#finished.promise;
  }

  override onsettled(): void {
    if (this.#finished !== undefined && this.running.length === 0) {
      this.#finished.resolve();
    }
  }

  override isBusy(method: string): string | undefined {
    // What was lent to the peer may be what a running method waits for.
    return this.#finished === undefined || method.startsWith("$/")
      ? undefined
      : "no more calls are taken";
  }

  bufferedAmount(): number {
    return this.ws.bufferedAmount;
  }

  /**
   * Asks for a sign of life, beside all the calls: with an error, too, a peer says
   * that it lives. To 1.0 and bare peers it could be one more invalid message.
   */
  ping(): boolean {
    if (this.version !== "2.0") return false;
    this.#ping = this.pending.takeId();
    this.send(writeRequest("2.0", this.#ping, "rpc.ping", undefined));
    return true;
  }

  // What arrives.

  override receive(data: unknown): void {
    this.#heartbeat.isHeard = true;
    super.receive(data);
  }

  override take(data: unknown): void {
    if (this.#shared !== undefined) return this.#receiveShared(data);
    const text = this.admit(data, this.limits.messageLength);
    if (text === undefined) return;
    const frame = readFrame(text, this.unnamedVersion, this.limits);
    if (Array.isArray(frame)) this.#dispatchBatch(frame, text);
    else this.dispatch(frame, text);
  }

  #receiveShared(data: unknown): void {
    const { messageLength } = this.limits;
    const text = this.admit(data, frameLimit(messageLength));
    if (text === undefined) return;
    // A message that is alone may not be longer for it.
    if (text.length > messageLength && !text.startsWith("[")) {
      return this.refuseLength();
    }
    const messages = readSharedFrame(text, this.limits);
    this.#shared!.isBusy = messages.length > 1;
    // It says nothing, but who sends it is to be paced, too.
    if (messages.length === 0) this.count();
    for (const message of messages) {
      if (!this.isOpen) return;
      try {
        if (Array.isArray(message)) this.#dispatchBatch(message, text);
        else this.dispatch(message, text);
      } catch (error) {
        this.complain(error); // The others are not to blame.
      }
    }
  }

  override count(): boolean {
    const { messageRate, messageBurst } = this.limits;
    if (messageRate === Infinity) return true;
    this.#rate ??= new Bucket(messageRate, messageBurst);
    if (this.#rate.take()) return true;
    const reason = `More than ${messageRate} messages a second`;
    this.cut(CloseCode.TooManyRequests, reason);
    return false;
  }

  #dispatchBatch(messages: readonly Message[], text: string): void {
    // It awaits itself, so that it isn't answered before its last member was read.
    const batch: IncomingBatch = {
      responses: [],
      ids: [],
      length: 2,
      awaited: 1,
      unanswered: messages.length,
    };
    let answers: OutgoingBatch | undefined;
    const unidentified: Response[] = [];
    for (const message of messages) {
      if (!this.isOpen) return;
      const isResponse = message.type === "response";
      if (isResponse && typeof message.id !== "number") {
        unidentified.push(message);
        continue;
      }
      if (isResponse) answers ??= this.pending.get(message.id)?.batch;
      try {
        this.dispatch(message, text, batch);
      } catch (error) {
        this.complain(error); // The others are not to blame.
      }
    }
    // By now it is known which batch they complain about.
    for (const response of unidentified) this.settleUnknown(response, answers);
    this.#completeBatch(batch);
  }

  override execute(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): void {
    if (batch === undefined || call.type === "notification") {
      return super.execute(call, batch);
    }
    batch.awaited++;
    // Whoever sent a batch waits for all of it: until then its ids are taken.
    const isNew = call.id !== null && !this.incoming.isTaken(call.id);
    super.execute(call, batch);
    if (!isNew || !this.isOpen) return;
    batch.ids.push(call.id);
    (this.#batchIds ??= new Set()).add(call.id);
  }

  override isTaken(id: Id): boolean {
    return this.#batchIds?.has(id) === true;
  }

  override answer(call: Running, text: string): void {
    const { batch } = call;
    if (batch === undefined) this.send(text);
    else {
      addTo(batch, text);
      this.#completeBatch(batch);
    }
  }

  override lengthAround({ batch }: Running): number {
    // The others may have to be told that there is no room for their results.
    return batch === undefined
      ? 0
      : batch.length + (batch.unanswered - 1) * refusalLength;
  }

  /** One more member needs no answer any more: the last one sends them all. */
  #completeBatch(batch: IncomingBatch): void {
    batch.awaited--;
    if (batch.awaited > 0) return;
    for (const id of batch.ids) this.#batchIds?.delete(id);
    if (batch.responses.length > 0) this.send(`[${batch.responses.join(",")}]`);
  }

  override control(call: Request | Notification, asked: Asked): unknown {
    if (call.method === "rpc.discover") {
      return this.#discover?.(this.owner.local);
    }
    const result = super.control(call, asked);
    // Who is given a stream's values asks again once he has them, and is paced by
    // that.
    if (call.method === enumeratorNext && result !== undefined) {
      this.#rate?.giveBack();
    }
    return result;
  }

  override invoke(
    method: Method,
    params: Params | undefined,
    call: Request | Notification,
  ): unknown {
    return this.#trace === undefined
      ? invoke(method, params)
      : this.#trace.receive(
        this.traceOf(call),
        () => invoke(method, params),
      );
  }

  override traceOf({ source, params }: Request | Notification): TraceContext {
    return readTrace(source, params);
  }

  override settle(response: Response): void {
    if (this.#suspect !== 0 && response.id as number >= this.#suspect) {
      if (this.pending.get(response.id) !== undefined) this.#suspect = 0;
    }
    super.settle(response);
  }

  override settleUnknown(response: Response, answers?: OutgoingBatch): void {
    const { id, error } = response;
    if (error !== undefined && (id === undefined || id === null)) {
      this.#settleUnidentified(readError(error), answers);
    } else if (this.#ping !== undefined && id === this.#ping) {
      this.#ping = undefined;
    } else {
      this.unmatched++;
      this.count();
      this.capabilities?.discard(response.result);
    }
  }

  /**
   * An error without an id: the peer could not read something of ours, if that
   * is what it says. It is about a batch if one is waiting, else about the one
   * call that is; a guess among several, or between it and a notification, would
   * tell a lie to one of them.
   */
  #settleUnidentified(
    error: RpcError,
    answers: OutgoingBatch | undefined,
  ): void {
    // The first word after a ping is about that: every call waits for longer.
    if (
      answers === undefined && this.#ping !== undefined &&
      this.#heartbeat.isAsking
    ) {
      this.#ping = undefined;
      return;
    }
    // Its other members' answers say which batch it is; else it is a guess, and
    // none while a notification may be to blame.
    const waiting = this.#suspect === 0 ? this.pending.all() : [];
    const batch = answers ??
      waiting.find((pending) => pending.batch !== undefined)?.batch;
    const isOurs = unreadable.includes(error.code);
    if (isOurs && batch !== undefined && batch.pending.size > 0) {
      this.#rejectBatch(batch, error);
    } else if (isOurs && batch === undefined && waiting.length === 1) {
      this.pending.take(waiting[0]!.id)?.reject(error);
    } else if (this.count()) this.complain(error);
  }

  override refuse(
    { version, id, code, message }: Invalid,
    text: string,
    batch: IncomingBatch | undefined,
  ): void {
    const error = new RpcError(code, message);
    let isHandled: unknown;
    this.runHook(() => (isHandled = this.owner.oninvalid(text, error)) as void);
    if (
      isHandled === true || this.ended !== undefined ||
      /^[ \t\n\r]*$/.test(text)
    ) return;
    if (this.spoken === "1.0") return this.cut(CloseCode.BadProtocol, message);
    const { invalidMessages, invalidWindow } = this.limits;
    if (invalidMessages !== Infinity) {
      this.#invalid ??= new Recent(invalidWindow);
      if (this.#invalid.add() > invalidMessages) {
        const reason =
          `More than ${invalidMessages} invalid messages in ${invalidWindow} ms`;
        return this.cut(CloseCode.BadProtocol, reason);
      }
    }
    if (id === undefined) return;
    const answer = this.incoming.writeRefusal(
      version ?? this.version,
      id,
      error,
    );
    if (batch === undefined) this.send(answer);
    else addTo(batch, answer);
  }
}

function addTo(batch: IncomingBatch, response: string): void {
  batch.responses.push(response);
  batch.length += response.length + 1;
  batch.unanswered--;
}

function join(members: readonly Entry[]): string {
  return `[${members.map(({ text }) => text).join(",")}]`;
}
