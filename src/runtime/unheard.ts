/**
 * Rejections that nobody listens to. A runtime ends the process for them, Deno and
 * Node alike, and what a peer answers shall end nobody's process.
 *
 * Whether somebody listens is known to the runtime alone, and only to its last word:
 * `await` looks at no `then`. To mark promises instead of errors would cost every
 * call something; an error is made for the calls that fail.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/webappapis.html#unhandled-promise-rejections}
 *
 * @module
 */

/** Who is told of which errors, if nobody listens. */
const owners = new WeakMap<object, (error: unknown) => void>();

let isListening = false;

/** Lets an error be told to somebody rather than end the process. */
export function entrust(error: object, tell: (error: unknown) => void): void {
  owners.set(error, tell);
  if (isListening) return;
  isListening = true;
  listen();
}

/** Tells who is to be told, once; `false`: nobody. */
function take(error: unknown): boolean {
  const tell = owners.get(error as object);
  if (tell === undefined) return false;
  // A second promise may have the same error.
  owners.set(error as object, ignore);
  tell(error);
  return true;
}

function ignore(): void {}

interface Event {
  readonly reason: unknown;
  preventDefault(): void;
}

interface Process {
  readonly versions: { readonly deno?: string };
  readonly execArgv: readonly string[];
  readonly env: { readonly NODE_OPTIONS?: string };
  on(type: string, listener: (reason: unknown) => void): void;
  listenerCount(type: string): number;
}

function listen(): void {
  const { process, addEventListener } = globalThis as unknown as {
    process?: Process;
    addEventListener?: (type: string, listener: (event: Event) => void) => void;
  };
  // Deno has the standard's event, too.
  if (typeof process?.on !== "function" || process.versions.deno) {
    addEventListener?.("unhandledrejection", (event) => {
      if (take(event.reason)) event.preventDefault();
    });
    return;
  }
  const { execArgv, env } = process;
  // Its owner said what becomes of them.
  if (/unhandled-rejections/.test(`${execArgv} ${env.NODE_OPTIONS}`)) return;
  const type = "unhandledRejection";
  process.on(type, (reason) => {
    // Where others listen, it is for them to say what becomes of other errors; else
    // it is as it would be without this one.
    if (!take(reason) && process.listenerCount(type) === 1) throw reason;
  });
}
