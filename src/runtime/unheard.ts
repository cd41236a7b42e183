/**
 * Unhandled rejections. Deno and Node end the process for them, and the answer of
 * another program must not end this one.
 *
 * Only the runtime knows whether a promise has a listener, since `await` calls no
 * `then` that could be replaced. So errors are marked, and looked up when the
 * runtime reports them. Marking promises instead would cost every call, an error
 * only those that fail.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/webappapis.html#unhandled-promise-rejections}
 *
 * @module
 */

/** The marked errors, each with the function to call if nobody handles it. */
const owners = new WeakMap<object, (error: unknown) => void>();

let isListening = false;

/**
 * Marks an error: if nobody handles its rejection, `tell` is called, and the
 * process goes on.
 */
export function entrust(error: object, tell: (error: unknown) => void): void {
  owners.set(error, tell);
  if (isListening) return;
  isListening = true;
  listen();
}

/** Calls an error's function, once; returns whether the error was marked. */
function take(error: unknown): boolean {
  const tell = owners.get(error as object);
  if (tell === undefined) return false;
  // A second promise may be rejected with the same error.
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
  // Deno has both events; the standard's one is used.
  if (typeof process?.on !== "function" || process.versions.deno) {
    addEventListener?.("unhandledrejection", (event) => {
      if (take(event.reason)) event.preventDefault();
    });
    return;
  }
  const { execArgv, env } = process;
  // The program's owner has chosen a mode for unhandled rejections.
  if (/unhandled-rejections/.test(`${execArgv} ${env.NODE_OPTIONS}`)) return;
  const type = "unhandledRejection";
  process.on(type, (reason) => {
    // Other errors end the process, as without this listener, unless the program
    // has listeners of its own.
    if (!take(reason) && process.listenerCount(type) === 1) throw reason;
  });
}
