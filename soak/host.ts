/** The server's host: one process after the other, on one port. */

import { Child } from "./child.ts";
import type { ServerStatus, ServerTask } from "./server.ts";

export class Host {
  /** The errors at the ends of processes. */
  readonly complaints: string[] = [];
  readonly #task: Omit<ServerTask, "number">;
  #number = 0;
  #child: Child | undefined;
  /** The process that was told to end. */
  #stopped: Child | undefined;

  constructor(task: Omit<ServerTask, "number">) {
    this.#task = task;
  }

  /** Starts a process, and waits until it listens. */
  async start(): Promise<void> {
    const task: ServerTask = { ...this.#task, number: ++this.#number };
    const child = this.#child = new Child("server.ts", task);
    child.status.then(({ code, signal }) => {
      if (this.#stopped === child) return;
      this.#complain(task.number, `ended by itself with ${signal ?? code}`);
    });
    await child.read();
  }

  /** Ends the process, and waits until it is gone. */
  async stop(how: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#stopped = this.#child!;
    const { success, code, signal } = await child.kill(how);
    if (how === "SIGTERM" && !success) {
      const end = signal ?? code;
      this.#complain(this.#number, `was shut down, and ended with ${end}`);
    }
  }

  /** The process's status, once all of its connections have gone. */
  async status(): Promise<ServerStatus> {
    await this.#child!.tell();
    return await this.#child!.read();
  }

  #complain(number: number, what: string): void {
    this.complaints.push(`Server process ${number}: ${what}`);
  }
}

/** A port that is free, and that no connection gets as its own. */
export function findPort(): number {
  // Below those that the system gives to connections.
  for (let port = 20_000 + Deno.pid % 5_000; port < 32_000; port++) {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("Cannot find a port: none from 20000 to 32000 is free");
}
