/**
 * Who owes whom an answer: PROTOCOL.md, read again, by somebody who has not seen
 * how the peer reads it.
 *
 * @module
 */

import type { Limits, Version } from "../../mod.ts";
// Tested by themselves; of what is not parsed nobody else could tell.
import { isDeeperThan, membersOf } from "../../src/wire/depth.ts";
import { glimpse } from "../../src/wire/glimpse.ts";

/** A value of JSON, looked at member by member. */
type Json = { readonly [name: string]: unknown };

/** An answer that is owed. */
interface Debt {
  /** The ids that it may bear, as JSON; "null" for none. */
  readonly ids: readonly string[];
  /** Whether it is a request's, so that its id is taken. */
  readonly isRequest: boolean;
  /** The version that it must be written in; `undefined`: any. */
  readonly version: Version | undefined;
  /** The result that it must have if it has one, as JSON; `undefined`: any. */
  readonly result?: string | undefined;
  /** Whether nobody can tell if it is owed at all. */
  readonly isUnsure?: boolean;
}

/** What is paid at once: an answer, or all of a batch's. */
interface Bill {
  readonly isBatch: boolean;
  readonly debts: Debt[];
  /** What it was paid with, as far as that can be told. */
  payment: Payment | undefined;
}

/** An answer, or all of a batch's. */
interface Payment {
  readonly isBatch: boolean;
  readonly answers: readonly Json[];
}

/** What a frame must or may do to the connection. */
export interface Verdict {
  /** The code that it must be closed with. */
  readonly mustClose: number | undefined;
  /** The codes that it may be closed with. */
  readonly mayClose: readonly number[];
}

/** What the peer was told when it was made. */
export interface Terms {
  readonly limits: Limits;
  /** Whether messages share frames. */
  readonly isShared: boolean;
  /** Whether there is a network between. */
  readonly isReal: boolean;
  /** The version that it was told; `undefined`: it adopts one. */
  readonly version: Version | undefined;
}

/** A call of the peer's. */
export interface Call {
  /** `undefined` for a notification. */
  readonly id: number | undefined;
  readonly method: string;
  readonly params: unknown;
}

/** The answers owed on one connection, and the calls that came on it. */
export class Ledger {
  readonly #terms: Terms;
  #bills: Bill[] = [];
  /** The frame that is read. */
  #text = "";
  /** The ids that it cancels: whether they are still taken depends on when. */
  readonly #cancelled = new Set<string>();
  /** Whether it has an id of which nobody can tell if it may be refused. */
  #isFragile = false;
  /** The ids of the peer's requests, all that ever were. */
  readonly #used = new Set<number>();
  /** How many answers were right. */
  answers = 0;
  /** How many responses it was given. */
  responses = 0;

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  /** The ids of the requests that are owed an answer. */
  get owed(): string[] {
    return this.#bills.filter((bill) =>
      bill.payment === undefined && !isUnsure(bill)
    ).flatMap(({ debts }) => debts.map(({ ids }) => ids.join(" or ")));
  }

  /** Forgives everything: the connection has closed. */
  forgive(): void {
    this.#bills = [];
  }

  /**
   * Reads a frame that the peer is about to be given.
   *
   * @param version What the peer speaks by now.
   */
  give(
    frame: string | Uint8Array<ArrayBuffer>,
    version: Version,
  ): Verdict {
    const { limits, isShared, version: told } = this.#terms;
    const text = typeof frame === "string"
      ? frame.replace(/^\ufeff/, "")
      : decode(frame);
    const { messageLength } = limits;
    // Messages that share a frame may be longer together than one alone.
    const most = isShared ? Math.max(messageLength + 2, 16_384) : messageLength;
    const isGathered = text?.startsWith("[") === true;
    if (
      frame.length > most ||
      (text ?? "").length > (isGathered ? most : messageLength)
    ) {
      // What begins like the answer to one of its calls rejects that, if it still waits.
      const { kind, id } = glimpse(
        text ?? new TextDecoder().decode(frame as Uint8Array),
      );
      return kind === "response" && this.#used.has(Number(id))
        ? { mustClose: undefined, mayClose: [1009] }
        : { mustClose: 1009, mayClose: [] };
    }
    const mayClose: number[] = [];
    if (text !== undefined && /^[ \t\r\n]*$/.test(text)) {
      return { mustClose: undefined, mayClose };
    }
    const unnamed = isShared || version === "bare" ? "bare" : "1.0";
    this.#text = text ?? "";
    this.#isFragile = false;
    this.#cancelled.clear();
    const invalid = this.#readFrame(text, unnamed);
    if (invalid === 0 && !this.#isFragile) {
      return { mustClose: undefined, mayClose };
    }
    // Of the messages of one frame the first may have been adopted.
    if (
      limits.invalidMessages < Infinity || told === undefined ||
      version === "1.0"
    ) mayClose.push(4400);
    const isSure = invalid > 0 && version === "1.0";
    return { mustClose: isSure ? 4400 : undefined, mayClose };
  }

  /** Registers what a frame is owed; returns how many invalid messages it has. */
  #readFrame(text: string | undefined, unnamed: Version): number {
    const { limits, isShared } = this.#terms;
    const isFrame = isShared && text?.startsWith("[") === true;
    const depth = limits.depth + (isFrame ? 1 : 0);
    if (text !== undefined && isDeeperThan(depth, text)) {
      if (!isFrame) return this.#refuseDeep(text);
      const members = membersOf(text);
      if (members.length > limits.frameMembers) return this.#refuse();
      let invalid = 0;
      for (const member of members) {
        this.#text = member;
        invalid += isDeeperThan(limits.depth, member)
          ? this.#refuseDeep(member)
          : this.#readMember(member, unnamed);
      }
      return invalid;
    }
    let value: unknown;
    try {
      value = JSON.parse(text ?? "");
    } catch {
      return this.#refuse();
    }
    if (!Array.isArray(value)) return this.#readMessage(value, unnamed);
    if (!isShared) return this.#readBatch(value, unnamed);
    if (value.length > limits.frameMembers) return this.#refuse();
    return value.reduce<number>(
      (invalid, member) =>
        invalid +
        (Array.isArray(member)
          ? this.#readBatch(member, unnamed)
          : this.#readMessage(member, unnamed)),
      0,
    );
  }

  /** A member of a frame of which others are nested too deeply. */
  #readMember(text: string, unnamed: Version): number {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return this.#refuse();
    }
    return Array.isArray(value)
      ? this.#readBatch(value, unnamed)
      : this.#readMessage(value, unnamed);
  }

  /** A call is answered under its id, where that is seen; a response not at all. */
  #refuseDeep(text: string): number {
    const { kind, id = null } = glimpse(text);
    if (kind === "response") {
      // Invalid, unless it settles a call.
      this.#isFragile = true;
      return 0;
    }
    const { idLength } = this.#terms.limits;
    const isLong = typeof id === "string" && id.length > idLength;
    return this.#refuse(undefined, isLong ? null : id);
  }

  #readBatch(members: readonly unknown[], unnamed: Version): number {
    const { length } = members;
    if (length === 0 || length > this.#terms.limits.batchMembers) {
      return this.#refuse();
    }
    const batch: Bill = { isBatch: true, debts: [], payment: undefined };
    // Here already, since its ids are taken by its own members.
    this.#bills.push(batch);
    const invalid = members.reduce<number>(
      (invalid, member) => invalid + this.#readMessage(member, unnamed, batch),
      0,
    );
    if (batch.debts.length === 0) this.#bills.pop();
    return invalid;
  }

  /** Returns 1 if it is invalid. */
  #readMessage(value: unknown, unnamed: Version, batch?: Bill): number {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return this.#refuse(batch);
    }
    const message = value as Json;
    const has = (name: string): boolean => Object.hasOwn(message, name);
    const isAnswer = has("result") || has("error");
    if (!has("method") && (isAnswer || has("id") && !has("params"))) {
      return this.#readResponse(message, batch);
    }
    const { limits } = this.#terms;
    const { jsonrpc, id, method, params } = message;
    const version = !has("jsonrpc")
      ? unnamed
      : jsonrpc === "2.0" || jsonrpc === "1.0"
      ? jsonrpc
      : undefined;
    const isId = id === null || typeof id === "number" ||
      typeof id === "string" && id.length <= limits.idLength;
    const fate = isId ? this.#judge(id) : "refused";
    if (has("id") && fate === "refused") return this.#refuse(batch);
    const isFragile = has("id") && fate === "either";
    if (isFragile) this.#isFragile = true;
    const isNotification = !has("id") ||
      id === null && (version === "1.0" || version === "bare");
    if (version === undefined || typeof method !== "string") {
      return this.#refuse(batch, isNotification ? null : id, isFragile);
    }
    const isParams = !has("params") || typeof params === "object";
    if (!isParams || method.length > limits.methodLength) {
      return isNotification ? 1 : this.#refuse(batch, id, isFragile);
    }
    if (method === "$/cancelRequest") {
      const cancelled = Array.isArray(params)
        ? params[0]
        : (params as Json | null | undefined)?.id;
      this.#cancelled.add(JSON.stringify(cancelled));
    }
    if (isNotification) return 0;
    const isEcho = method === "echo" && (!has("params") || isPlain(params));
    const result = isEcho
      ? JSON.stringify(readFirst(params) ?? null)
      : method === "rpc.ping"
      ? "null"
      : undefined;
    this.#oweRequest({ version, result }, id, isFragile, batch);
    return 0;
  }

  /** With nothing but an id, it is a response only to a request that had it. */
  #readResponse(message: Json, batch: Bill | undefined): number {
    const { id, result, error = null } = message;
    const number = typeof id === "string" || typeof id === "number" ? +id : 0;
    const last = Math.max(0, ...this.#used);
    const isOurs = Number.isInteger(number) && number >= 1 && number <= last;
    // The heartbeat's own, whose answers may say as little.
    const isPing = id === "rpc.ping";
    if (result !== undefined || error !== null || isOurs || isPing) {
      this.responses++;
      return 0;
    }
    const isKnown = Number.isSafeInteger(id) ||
      typeof id === "string" && id.length <= this.#terms.limits.idLength;
    // A request that had it may be on its way, or was not sent in the end.
    const isUnsure = number > last && Number.isSafeInteger(number);
    if (isUnsure) {
      this.#isFragile = true;
      this.responses++;
    }
    this.#refuse(batch, isKnown ? id : null, false, isUnsure);
    return isUnsure ? 0 : 1;
  }

  /** An invalid message is answered, under its id if that is nobody else's. */
  #refuse(
    batch?: Bill,
    id: unknown = null,
    isFragile = false,
    isUnsure = false,
  ): 1 {
    const key = JSON.stringify(id);
    const ids = id === null || this.#isTaken(key) && !this.#isUnclear(key)
      ? ["null"]
      : isFragile || this.#isTaken(key)
      ? [key, "null"]
      : [key];
    this.#owe({ ids, isRequest: false, version: undefined, isUnsure }, batch);
    return 1;
  }

  #oweRequest(
    { version, result }: Pick<Debt, "version" | "result">,
    id: unknown,
    isFragile: boolean,
    batch: Bill | undefined,
  ): void {
    const key = JSON.stringify(id);
    const isTaken = id !== null && this.#isTaken(key);
    const ids = isTaken
      ? this.#isUnclear(key) ? [key, "null"] : ["null"]
      : isFragile
      ? [key, "null"]
      : [key];
    const isRequest = ids[0] !== "null";
    // One that may be refused, or answered by who knows which method, is any.
    const isSure = isRequest && ids.length === 1;
    const sure = isSure ? result : undefined;
    this.#owe({ ids, isRequest, version, result: sure }, batch);
  }

  #owe(debt: Debt, batch: Bill | undefined): void {
    if (batch !== undefined) batch.debts.push(debt);
    else {
      this.#bills.push({ isBatch: false, debts: [debt], payment: undefined });
    }
  }

  /** Whether an id comes back as it was written: else it is refused. */
  #judge(id: unknown): "accepted" | "refused" | "either" {
    if (typeof id !== "number" || Number.isSafeInteger(id)) return "accepted";
    const all = [...this.#text.matchAll(/"id"\s*:\s*(-?\d[\d.eE+-]*)/g)]
      .map(([, source]) => source!)
      .filter((source) => Number(source) === id);
    const exact = all.filter((source) => source === String(id)).length;
    return exact === 0
      ? "refused"
      : exact === all.length
      ? "accepted"
      : "either";
  }

  /** Whether an id that was taken may be free by now, or may never have been. */
  #isUnclear(key: string): boolean {
    return this.#isLate || this.#cancelled.has(key) ||
      !this.#isTaken(key, true);
  }

  /** @param isSure Whether by one that can't have been refused. */
  #isTaken(key: string, isSure = false): boolean {
    return key !== "null" &&
      this.#bills.some(({ debts, payment }) =>
        (payment === undefined || this.#isLate) &&
        debts.some(({ ids, isRequest }) =>
          isRequest && ids.includes(key) && !(isSure && ids.length > 1)
        )
      );
  }

  /**
   * Reads a frame that the peer has sent.
   *
   * @param version What it speaks by now.
   * @returns The calls in it.
   * @throws {Error} It is not owed, or no message.
   */
  take(text: string, version: Version): Call[] {
    const frame: unknown = JSON.parse(text);
    if (!Array.isArray(frame)) return this.#takeMessage(frame, version);
    if (!this.#terms.isShared) return this.#takeBatch(frame, version);
    return frame.flatMap((member) =>
      Array.isArray(member)
        ? this.#takeBatch(member, version)
        : this.#takeMessage(member, version)
    );
  }

  /** Whether what arrives may be older than the version that was adopted. */
  get #isOld(): boolean {
    return this.#isLate && this.#terms.version === undefined;
  }

  /** Whether answers may be on their way: gathered, or in the network. */
  get #isLate(): boolean {
    return this.#terms.isShared || this.#terms.isReal;
  }

  #takeBatch(members: readonly unknown[], version: Version): Call[] {
    check(members.length > 0, "an empty batch was sent");
    const isAnswer = members.map((it) => !Object.hasOwn(it as Json, "method"));
    if (!isAnswer[0]) {
      check(!isAnswer.includes(true), "a batch of calls has answers in it");
      check(
        this.#isOld || version === "2.0",
        `a batch was sent in version ${version}`,
      );
      return members.flatMap((member) => this.#takeMessage(member, version));
    }
    check(!isAnswer.includes(false), "a batch of answers has calls in it");
    this.#takePayment({ isBatch: true, answers: members as Json[] });
    return [];
  }

  #takeMessage(value: unknown, version: Version): Call[] {
    check(
      typeof value === "object" && value !== null && !Array.isArray(value),
      "what was sent is no message",
    );
    const message = value as Json;
    if (Object.hasOwn(message, "method")) {
      return [this.#takeCall(message, version)];
    }
    this.#takePayment({ isBatch: false, answers: [message] });
    return [];
  }

  #takePayment(payment: Payment): void {
    for (const answer of payment.answers) checkResponse(answer);
    check(
      assign(payment, this.#bills),
      "an answer was sent that is owed to nobody",
    );
    this.answers += payment.answers.length;
    // Where all that is owed can be told apart, nobody has to remember.
    const unpaid = this.#bills.filter(({ payment }) => payment === undefined);
    if (unpaid.length === 0 || areDistinct(this.#bills)) this.#bills = unpaid;
  }

  #takeCall(message: Json, version: Version): Call {
    const { id, method, params } = message;
    check(typeof method === "string", "a method's name is no string");
    const keys = Object.keys(message);
    const isNamed = message.jsonrpc === "2.0";
    const isFirst = version === "1.0" && !isNamed;
    check(
      this.#isOld && isNamed || isNamed === (version === "2.0"),
      `a call was not sent in version ${version}`,
    );
    check(
      keys.every((key) => ["jsonrpc", "method", "params", "id"].includes(key)),
      `a call has other members: ${keys}`,
    );
    check(
      isFirst
        ? Array.isArray(params) && "id" in message
        : params === undefined || typeof params === "object" && params !== null,
      "a call's params are none",
    );
    check(
      isNamed || !method.startsWith("$/"),
      `${method} was sent in version ${version}`,
    );
    if (id === undefined || isFirst && id === null) {
      return { id: undefined, method, params };
    }
    check(
      Number.isInteger(id) && (id as number) >= 1 && (id as number) < 2 ** 31,
      "a request's id is no integer from 1",
    );
    check(!this.#used.has(id as number), `request id ${id} was used before`);
    this.#used.add(id as number);
    return { id: id as number, method, params };
  }
}

/**
 * Pays one of some bills, perhaps so that what paid it pays another.
 *
 * @see {@link https://en.wikipedia.org/wiki/Matching_(graph_theory)} for augmenting paths
 */
function assign(payment: Payment, bills: readonly Bill[]): boolean {
  // First what is owed for sure.
  return [false, true].some((mayBeUnsure) =>
    augment(payment, bills, mayBeUnsure, new Set())
  );
}

/** Finds a bill for a payment, for which others may be paid otherwise. */
function augment(
  payment: Payment,
  bills: readonly Bill[],
  mayBeUnsure: boolean,
  seen: Set<Bill>,
): boolean {
  for (const bill of bills) {
    const isOpen = bill.payment === undefined;
    if (seen.has(bill) || isOpen && isUnsure(bill) && !mayBeUnsure) continue;
    if (!pays(payment, bill)) continue;
    seen.add(bill);
    if (isOpen || augment(bill.payment!, bills, mayBeUnsure, seen)) {
      bill.payment = payment;
      return true;
    }
  }
  return false;
}

/** Whether nobody can tell if anything of a bill is owed. */
function isUnsure({ debts }: Bill): boolean {
  return debts.every(({ isUnsure }) => isUnsure === true);
}

/** Whether a bill can be paid so, whole. */
function pays({ isBatch, answers }: Payment, bill: Bill): boolean {
  const { debts } = bill;
  const least = debts.filter(({ isUnsure }) => !isUnsure).length;
  if (
    isBatch !== bill.isBatch || answers.length > debts.length ||
    answers.length < least
  ) return false;
  if (!isBatch) return fits(debts[0]!, answers[0]!);
  const paid = new Map<Debt, Json>();
  const settle = (answer: Json, seen: Set<Debt>): boolean => {
    for (const debt of debts) {
      if (seen.has(debt) || !fits(debt, answer)) continue;
      seen.add(debt);
      const other = paid.get(debt);
      if (other === undefined || settle(other, seen)) {
        paid.set(debt, answer);
        return true;
      }
    }
    return false;
  };
  return answers.every((answer) => settle(answer, new Set()));
}

/** Whether what pays one of some bills could pay no other one. */
function areDistinct(bills: readonly Bill[]): boolean {
  const ids = bills.flatMap(({ debts }) => debts.flatMap(({ ids }) => ids));
  return !ids.includes("null") && new Set(ids).size === ids.length;
}

/** Whether an answer may be that which is owed. */
function fits(debt: Debt, response: Json): boolean {
  const { version, result, isUnsure } = debt;
  return !(isUnsure && (response.error as Json | null)?.code !== -32600) &&
    debt.ids.includes(JSON.stringify(response.id)) &&
    (version === undefined || version === versionOf(response)) &&
    (result === undefined || (response.error ?? null) !== null ||
      result === JSON.stringify(response.result));
}

function versionOf(response: Json): Version {
  return response.jsonrpc === "2.0"
    ? "2.0"
    : "result" in response && "error" in response
    ? "1.0"
    : "bare";
}

function checkResponse(response: Json): void {
  const { id, result, error } = response;
  const version = versionOf(response);
  const keys = Object.keys(response).sort().join();
  const expected = {
    "2.0": ["id,jsonrpc,result", "error,id,jsonrpc"],
    "1.0": ["error,id,result"],
    bare: ["id,result", "error,id"],
  };
  check(expected[version].includes(keys), `a response has members ${keys}`);
  check(
    id === null || typeof id === "string" || typeof id === "number",
    "a response's id is none",
  );
  if (error === undefined || version === "1.0" && error === null) return;
  const { code, message } = error as Json;
  check(
    Number.isInteger(code) && typeof message === "string" &&
      (version !== "1.0" || result === null),
    "a response's error is none",
  );
}

/** Whether params hold no reference, which would be replaced. */
function isPlain(params: unknown): boolean {
  return !JSON.stringify(params).includes("__jsonrpc_marshaled");
}

/** The first argument that params make. */
function readFirst(params: unknown): unknown {
  return Array.isArray(params) ? params[0] : params ?? undefined;
}

/** The text of a binary frame; `undefined`: it is no UTF-8. */
function decode(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
