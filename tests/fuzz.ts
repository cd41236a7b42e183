/**
 * The fuzzer: frames that are nearly right, without end, against a peer that has
 * methods of every kind and calls of its own in flight.
 *
 * ```sh
 * deno task fuzz --frames 1000000
 * deno task fuzz --frames 100000 --real
 * deno task fuzz --seed 5 --sessions 1
 * ```
 *
 * A session's seed is the one before it plus one, so that the seed of the one
 * that fails finds it again. fast-check was weighed: its values know no doubled
 * members, no torn text and no connection that goes on, and that is all there is
 * to this.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Frames } from "./fuzz/frames.ts";
import type { Way } from "./fuzz/lines.ts";
import { Random } from "./fuzz/random.ts";
import {
  createSetting,
  Session,
  type Setting,
  type Step,
} from "./fuzz/session.ts";

/** How long to go on. */
export interface FuzzOptions {
  /** The first session's seed. */
  readonly seed: number;
  /** How many frames, at least. */
  readonly frames: number;
  /** How many sessions, at most. Default: as many as the frames take. */
  readonly sessions?: number;
  /** Whether over real sockets, to both servers. Default: in memory. */
  readonly isReal?: boolean;
}

/** What was done. */
export interface FuzzReport {
  sessions: number;
  frames: number;
  /** Answers that were owed and came. */
  answers: number;
  /** How often it was closed with each code, by the peer. */
  readonly closes: { [code: string]: number };
}

/** Something does not hold. */
export class FuzzError extends Error {
  /** "FuzzError". */
  override readonly name = "FuzzError";
}

/**
 * Sends frames until there were enough.
 *
 * @throws {FuzzError} Something does not hold; the message says how to see it
 * again.
 */
export async function fuzz(
  { seed, frames, sessions = Infinity, isReal = false }: FuzzOptions,
): Promise<FuzzReport> {
  const report: FuzzReport = { sessions: 0, frames: 0, answers: 0, closes: {} };
  using world = new World();
  while (report.frames < frames && report.sessions < sessions) {
    await runSession(seed + report.sessions++, isReal, report, world);
  }
  return report;
}

async function runSession(
  seed: number,
  isReal: boolean,
  report: FuzzReport,
  world: World,
): Promise<void> {
  const random = new Random(seed);
  const setting = createSetting(random, isReal);
  const steps: Step[] = [];
  const session = await Session.open(setting);
  try {
    const source = new Frames(random, session.knowledge);
    await session.take({ type: "turn" });
    const length = 50 + random.below(400);
    while (steps.length < length && !session.isOver) {
      const step = createStep(random, source, steps.length);
      steps.push(step);
      await session.take(step);
    }
    await session.finish();
    world.check();
  } catch (error) {
    session.abandon();
    const reason = error as Error;
    // A real one takes too long to be tried a thousand times.
    const shortest = isReal
      ? steps
      : await shrink(setting, steps, reason, world);
    throw new FuzzError(describe(seed, setting, shortest, reason), {
      cause: reason,
    });
  }
  report.frames += steps.filter(({ type }) => type === "frame").length;
  report.answers += session.ledger.answers;
  // Of its ends those that it made: all but what it is ended with.
  for (const { code } of session.subject.ends) {
    if (code !== 1000 && code !== 1006) {
      report.closes[`${code}`] = (report.closes[`${code}`] ?? 0) + 1;
    }
  }
}

function createStep(random: Random, source: Frames, number: number): Step {
  if (number % 50 === 49) return { type: "canary", id: `c${number}` };
  switch (random.below(20)) {
    case 0:
    case 1:
      return { type: "act", number: random.below(1_000) };
    case 2:
    case 3:
      return { type: "turn" };
    case 4:
      return random.oneIn(4) ? { type: "gates" } : { type: "turn" };
    default:
      return { type: "frame", frame: source.next(), ...createWay(random) };
  }
}

/** Decides how a frame travels over a real socket; most do in one piece. */
function createWay(random: Random): { readonly way?: Way } {
  if (!random.oneIn(4)) return {};
  const fragments = 1 + random.below(5);
  return { way: { fragments, pings: random.pick([0, 0, 1, 3, 100]) } };
}

/** Leaves out whatever the failure doesn't need. */
async function shrink(
  setting: Setting,
  steps: readonly Step[],
  reason: Error,
  world: World,
): Promise<Step[]> {
  const fails = async (steps: readonly Step[]): Promise<boolean> => {
    const session = await Session.open(setting);
    try {
      await session.take({ type: "turn" });
      for (const step of steps) await session.take(step);
      await session.finish();
      world.check();
      return false;
    } catch (error) {
      session.abandon();
      return (error as Error).message === reason.message;
    }
  };
  let shortest = [...steps];
  if (!await fails(shortest)) return shortest;
  for (let size = shortest.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < shortest.length;) {
      const fewer = shortest.toSpliced(at, size);
      if (await fails(fewer)) shortest = fewer;
      else at += size;
    }
  }
  return shortest;
}

function describe(
  seed: number,
  setting: Setting,
  steps: readonly Step[],
  reason: Error,
): string {
  const lines = steps.map((step) =>
    step.type === "frame"
      ? `  frame ${show(step.frame)} ${JSON.stringify(step.way ?? "")}`
      : `  ${Object.values(step).join(" ")}`
  );
  return [
    `${reason.message} (${reason.cause ?? "no cause"})`,
    `again: deno task fuzz --seed ${seed} --sessions 1${
      setting.platform === undefined ? "" : " --real"
    }`,
    `setting: ${JSON.stringify(setting)}`,
    "steps:",
    ...lines,
  ].join("\n");
}

function show(frame: string | Uint8Array): string {
  const text = typeof frame === "string" ? frame : `bytes ${frame}`;
  const shown = JSON.stringify(text);
  return shown.length < 1_500 ? shown : `${shown.slice(0, 1_500)}...`;
}

/** What a peer must leave as it is. */
class World implements Disposable {
  readonly #prototypes = [Object, Array, Function, String, Promise].map(
    ({ prototype }) => prototype as object,
  );
  readonly #before = this.#look();
  readonly #console = console.error;
  #failure: unknown;
  #hasFailed = false;
  readonly #fail = (event: PromiseRejectionEvent): void => {
    event.preventDefault();
    this.#note(event.reason);
  };

  constructor() {
    console.error = (...args: unknown[]): void => this.#note(args);
    globalThis.addEventListener("unhandledrejection", this.#fail);
  }

  /** @throws {Error} Something has changed, or was said to nobody. */
  check(): void {
    if (this.#hasFailed) {
      this.#hasFailed = false;
      throw new Error("something was rejected or printed for nobody", {
        cause: this.#failure,
      });
    }
    if (this.#look() !== this.#before) throw new Error("a prototype changed");
  }

  [Symbol.dispose](): void {
    console.error = this.#console;
    globalThis.removeEventListener("unhandledrejection", this.#fail);
  }

  #note(failure: unknown): void {
    this.#hasFailed = true;
    this.#failure = failure;
  }

  #look(): string {
    return this.#prototypes.map((prototype) =>
      Reflect.ownKeys(prototype).map(String).join()
    ).join(";");
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      frames: { type: "string", default: "1000000" },
      sessions: { type: "string" },
      real: { type: "boolean", default: false },
    },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  try {
    const report = await fuzz({
      seed,
      frames: Number(values.frames),
      isReal: values.real,
      ...values.sessions === undefined
        ? {}
        : { sessions: Number(values.sessions) },
    });
    console.log(report);
  } catch (error) {
    console.log(error instanceof FuzzError ? error.message : error);
    Deno.exit(1);
  }
}
