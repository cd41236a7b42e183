/**
 * The calls, their outcomes and their executions: written down by both sides while
 * they happen, compared at the end.
 *
 * @module
 */

import { lines } from "../bench/lines.ts";
import { ConnectionClosedError, ErrorCode, RpcError } from "../mod.ts";

/** The way and the purpose of a call. */
export type Kind =
  | "quick"
  | "slow"
  | "failing"
  | "hidden"
  | "batch"
  | "burst"
  | "idempotent"
  | "cancelled"
  | "hurried"
  | "callback"
  | "upload"
  | "stream"
  | "notification"
  | "back";

/** The outcome that a caller was told. */
export type Outcome =
  /** The result that was due. */
  | "result"
  /** The error that was due, thrown by the method. */
  | "error"
  /** Error -32009: not executed. */
  | "busy"
  /** A RangeError, or a `false` of `notify`: not sent. */
  | "refused"
  /** A ConnectionClosedError with `sent: false`. */
  | "unsent"
  /** A ConnectionClosedError with `sent: true`. */
  | "sent"
  /** A TimeoutError. */
  | "timeout"
  /** The caller's own signal's reason. */
  | "abort"
  /** A `true` of `notify`. */
  | "taken"
  /** None of these. */
  | "wrong";

/** A call and its one outcome. */
export interface Settlement {
  readonly id: number;
  readonly caller: string;
  readonly kind: Kind;
  readonly outcome: Outcome;
  /** The number of its peer's connections between the call and the outcome. */
  readonly connections: number;
  /** The error, if the outcome is wrong. */
  readonly detail?: string;
}

/** A method began to run. */
export interface Execution {
  readonly ran: number;
}

/** Something that must not be. */
export interface Complaint {
  readonly complaint: string;
}

/** A line of a journal. */
export type Entry = Settlement | Execution | Complaint;

/** One side's journal, which survives the death of its process. */
export class Journal implements Disposable {
  readonly #file: Deno.FsFile;

  /** Opens a file to append to. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { append: true, create: true });
  }

  /** Writes an entry before it returns, so that no effect precedes its entry. */
  write(entry: Entry): void {
    this.#file.writeSync(
      new TextEncoder().encode(JSON.stringify(entry) + "\n"),
    );
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** The account of one side's calls. */
export interface Audit {
  /** The number of calls, by kind and by outcome. */
  readonly counts: ReadonlyMap<string, number>;
  readonly executions: number;
  /** A sentence for each violation. */
  readonly violations: string[];
}

/**
 * Compares the outcomes that callers were told with the executions.
 *
 * @param callers The journal of the side that called.
 * @param callees The journal of the side that was called.
 * @param issued The last of the calls' ids, which begin at 1, if each of them must
 * have been settled.
 */
export async function audit(
  callers: string,
  callees: string,
  issued?: number,
): Promise<Audit> {
  const executions = new Map<number, number>();
  for await (const entry of entries(callees)) {
    if (!("ran" in entry)) continue;
    executions.set(entry.ran, (executions.get(entry.ran) ?? 0) + 1);
  }
  const counts = new Map<string, number>();
  const violations: string[] = [];
  const settled = new Set<number>();
  for await (const entry of entries(callers)) {
    if ("complaint" in entry) violations.push(entry.complaint);
    if (!("id" in entry)) continue;
    const { id, kind, outcome } = entry;
    const violation = judge(entry, executions.get(id) ?? 0);
    if (violation !== undefined) violations.push(violation);
    if (settled.has(id)) violations.push(`${name(entry)}: settled again`);
    settled.add(id);
    for (const key of [kind, outcome]) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  for (let id = 1; id <= (issued ?? 0); id++) {
    if (!settled.has(id)) violations.push(`Call ${id}: never settled`);
  }
  if (issued !== undefined) {
    for (const id of executions.keys()) {
      if (!settled.has(id)) violations.push(`Call ${id}: executed, never made`);
    }
  }
  return { counts, executions: executions.size, violations };
}

/** The violation by a call that was executed so often; `undefined`: none. */
export function judge(
  settlement: Settlement,
  executions: number,
): string | undefined {
  const { outcome, connections, detail } = settlement;
  const [least, most] = allowed(settlement);
  if (outcome !== "wrong" && executions >= least && executions <= most) {
    return undefined;
  }
  const what = outcome === "wrong"
    ? `told ${detail}`
    : `told "${outcome}", within ${connections} connections`;
  return `${name(settlement)}: ${what}, executed ${executions} times`;
}

/** The possible number of executions of a call: at least, at most. */
function allowed(
  { kind, outcome, connections }: Settlement,
): [least: number, most: number] {
  const isRepeated = kind === "idempotent" || kind === "stream";
  // Without a connection it was never sent.
  const most = isRepeated ? connections : Math.min(connections, 1);
  switch (outcome) {
    case "result":
    case "error":
      return [1, most];
    case "sent":
    case "timeout":
    case "abort":
    case "taken":
    case "wrong":
      return [0, most];
    case "busy":
      return [0, most - 1];
    case "unsent":
      // A stream's last opening, not the first.
      return [0, kind === "stream" ? most : 0];
    case "refused":
      return [0, 0];
  }
}

function name({ id, caller, kind }: Settlement): string {
  return `Call ${id} (${kind}) of ${caller}`;
}

/** The outcome of a call that failed, if failing was not its purpose. */
export function readOutcome(
  error: unknown,
): { outcome: Outcome; detail?: string } {
  if (error instanceof ConnectionClosedError) {
    return { outcome: error.sent ? "sent" : "unsent" };
  }
  if (error instanceof RpcError && error.code === ErrorCode.Busy) {
    return { outcome: "busy" };
  }
  if (error instanceof RangeError) return { outcome: "refused" };
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return { outcome: "timeout" };
  }
  return { outcome: "wrong", detail: describe(error) };
}

/** An error, in a line. */
export function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.stack}` : `${error}`;
  const code = error instanceof RpcError ? ` (code ${error.code})` : "";
  return text.replaceAll(/\s*\n\s*/g, " | ") + code;
}

async function* entries(path: string): AsyncGenerator<Entry> {
  using file = await Deno.open(path);
  for await (const line of lines(file.readable)) yield JSON.parse(line);
}
