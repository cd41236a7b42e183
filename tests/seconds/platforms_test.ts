/**
 * Platforms that have less than a browser: the page of Jest, React Native, and one
 * with next to nothing. Nothing is touched when the client is loaded, and its calls
 * settle.
 */

import { assert, assertEquals } from "@std/assert";
import { install } from "@sinonjs/fake-timers";
import { JSDOM } from "jsdom";
import { createContext, runInContext } from "node:vm";
import { Peer, type Socket } from "../../mod.ts";
import { socketPair } from "../../testing.ts";

const root = new URL("../../", import.meta.url);

/** The client and what it does, as a script. */
async function bundle(): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform", "browser", "tests/seconds/bare_client.ts"],
    cwd: root,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const script = new TextDecoder().decode(stdout)
    .replace(/^export \{[^}]*\};?$/m, "");
  return `(() => {${script}})()`;
}

const each = (aborted: string): string[] => [
  "sum 3",
  '{"a":[1]}',
  "items 0,1,2",
  aborted,
  aborted,
  'TimeoutError: No sign of life from request "never" within 20 ms',
  "closed 4000 61",
  "ConnectionClosedError",
];

const done = (aborted: string): string[] => [
  ...each(aborted),
  ...each(aborted),
  "heard 300",
];

/** What React Native has for a signal: neither a reason nor what throws it. */
class Signal {
  aborted = false;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: string, listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: string, listener: () => void): void {
    this.#listeners.delete(listener);
  }

  abort(): void {
    this.aborted = true;
    for (const listener of this.#listeners) listener();
  }
}

class Controller {
  readonly signal = new Signal();

  abort(): void {
    if (!this.signal.aborted) this.signal.abort();
  }
}

/** The least that a client needs. */
function leastGlobals(): object {
  return {
    AbortController: Controller,
    AbortSignal: Signal,
    clearTimeout,
    performance: { now: () => performance.now() },
    queueMicrotask,
    setTimeout,
    URL,
  };
}

const code = await bundle();

Deno.test("The clients work where there is next to nothing of the platform", async () => {
  const context = createContext(leastGlobals());
  runInContext(code, context);
  assertEquals(
    [...await runInContext("exercise()", context)],
    done("AbortError: The operation was aborted"),
  );
});

Deno.test("The clients work in React Native, whose timers are getters", async () => {
  const { setTimeout, ...others } = leastGlobals() as {
    setTimeout: typeof globalThis.setTimeout;
  };
  const context = createContext({
    ...others,
    setImmediate: (task: () => void) => setTimeout(task),
  });
  Object.defineProperty(context, "setTimeout", { get: () => setTimeout });
  runInContext(code, context);
  assertEquals(
    [...await runInContext("exercise()", context)],
    done("AbortError: The operation was aborted"),
  );
});

Deno.test("The clients work in a page of jsdom, which Jest makes", async () => {
  const { window } = new JSDOM("", {
    runScripts: "outside-only",
    url: "http://localhost/",
  });
  assertEquals(window.eval("typeof TextEncoder"), "undefined");
  window.eval(code);
  const { exercise } = window as unknown as {
    exercise(): Promise<string[]>;
  };
  const seen = [...await exercise()];
  window.close();
  assertEquals(seen, done("AbortError: The operation was aborted."));
});

/** A socket that answers nothing. */
function silent(): Socket {
  const [left] = socketPair({ open: true });
  return left;
}

Deno.test("Timers that Vitest puts in place of the platform's end a call, whatever else is open", async () => {
  const other = new Peer(silent());
  await other.opened;
  const real = other.request("m").catch((error: Error) => error.name);
  const peer = new Peer(silent());
  await peer.opened;
  const before = peer.request("m").catch((error: Error) => error.name);

  const clock = install();
  try {
    const call = peer.request("m").catch((error: Error) => error.message);
    const another = other.request("m", [], { timeout: 5_000 })
      .catch((error: Error) => error.message);
    await clock.tickAsync(6_000);
    assertEquals(
      await another,
      'No sign of life from request "m" within 5000 ms',
    );
    await clock.tickAsync(60_000);
    assertEquals(
      await call,
      'No sign of life from request "m" within 60000 ms',
    );
  } finally {
    clock.uninstall();
  }

  // Back in its own time, a call ends in that.
  const after = peer.request("m", [], { timeout: 20 })
    .catch((error: Error) => error.message);
  assertEquals(await after, 'No sign of life from request "m" within 20 ms');
  for (const each of [peer, other]) each.close();
  await Promise.all([real, before]);
  await Promise.all([peer.closed, other.closed]);
});
