/** The chat of three servers: in Chromium through NATS, in Firefox through Redis. */

/// <reference lib="dom" />

import { assert, assertEquals } from "@std/assert";
import { join, say, showsMembers, showsMessages } from "../chat_pages.ts";
import { exampleCommand } from "../example_process.ts";
import { debian } from "../interop/processes.ts";
import {
  browsers,
  browserTest,
  inBackground,
  isMarked,
  mark,
  shows,
  start,
} from "../pages.ts";
import { EngineServer } from "./servers.ts";

/** The example as a program that runs; disposing of it presses Ctrl+C. */
class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  #printed = "";

  constructor(engine: string) {
    const path = "examples/cluster.ts";
    const command = exampleCommand(path, "0", "inherit", { ENGINE: engine });
    this.#child = command.spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Waits until it has printed this, and returns what the groups are. */
  async prints(pattern: RegExp): Promise<string[]> {
    for (;;) {
      const [whole, ...groups] = pattern.exec(this.#printed) ?? [];
      if (whole !== undefined) return groups;
      const { value } = await this.#output.read();
      assert(value !== undefined, `It has ended, and printed ${this.#printed}`);
      this.#printed += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGINT");
    while (!(await this.#output.read()).done);
    const { success, signal } = await this.#child.status;
    assertEquals({ success, signal }, { success: true, signal: null });
  }
}

for (const { name, launch } of browsers) {
  const engine = name === "Firefox" ? "redis" : "nats";
  browserTest(
    `The chat of three servers in ${name} goes on when one is killed`,
    async () => {
      await using server = engine === "redis"
        ? await EngineServer.start("redis")
        : undefined;
      // Which it finds by itself.
      if (server === undefined) await debian("nats-server", "nats-server");
      await using chat = new Program(server?.url ?? "");
      const [address] = await chat.prints(/^Chat at (\S+)\n/);
      const at = server?.url ?? "nats://127.0.0.1:\\d+, process \\d+";
      await chat.prints(new RegExp(`\\nEngine at ${at}\\n`));
      const [pid] = await chat.prints(/: kill -9 (\d+)\n$/);
      const url = new URL(address!);

      await using browser = await start(launch);
      const ann = await join(browser, url, "ann");
      const ben = await join(browser, url, "ben");
      const cat = await join(browser, url, "cat");
      await showsMembers(ann, ["ann* A", "ben B", "cat C"]);
      await showsMembers(ben, ["ann A", "ben* B", "cat C"]);
      await showsMembers(cat, ["ann A", "ben B", "cat* C"]);
      await say(ann, "hello");
      await showsMessages(cat, ["ann: hello"]);
      await say(cat, "hi");
      await showsMessages(ben, ["ann: hello", "cat: hi"]);
      await showsMessages(ann, ["ann*: hello", "cat: hi"]);

      await mark(ann);
      Deno.kill(Number(pid), "SIGKILL");
      await chat.prints(/\nServer A has ended\n/);
      await say(ben, "ann?");
      await showsMessages(cat, ["ann: hello", "cat*: hi", "ben: ann?"]);
      // She comes in by another server, and missed nothing.
      await showsMessages(ann, ["ann*: hello", "cat: hi", "ben: ann?"]);
      await ann.waitForFunction(
        () =>
          /[BC]/.test(document.querySelector("[data-you] .node")!.textContent),
        inBackground,
      );
      const node = await ann.$eval("[data-you] .node", (it) => it.textContent);
      await showsMembers(ann, ["ben B", "cat C", `ann* ${node}`]);
      await showsMembers(ben, ["ben* B", "cat C", `ann ${node}`]);
      await say(ann, "here");
      await showsMessages(cat, [
        "ann: hello",
        "cat*: hi",
        "ben: ann?",
        "ann: here",
      ]);
      await shows(ann, "#status", "Connected");
      assert(await isMarked(ann));
      // Who is new is told what was said, also by the server that is gone.
      const dan = await join(browser, url, "dan");
      await showsMessages(dan, [
        "ann: hello",
        "cat: hi",
        "ben: ann?",
        "ann: here",
      ]);
      assertEquals(browser.complaints, []);
    },
  );
}
