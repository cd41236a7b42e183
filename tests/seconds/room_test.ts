/**
 * Rooms that a beginner copies: one member is frozen, others leave all the time,
 * and nobody else notices.
 */

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { connect } from "../../client.ts";
import { Chat } from "../../examples/chat/chat.ts";
import { serve } from "../../server.ts";
import { start } from "../interop/processes.ts";
import { RawSocket } from "../interop/raw_socket.ts";

const root = new URL("../../", import.meta.url);

/** Rooms in which something is said in the guide: all of a snippet up to where it is served. */
async function rooms(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const folder = new URL("docs/guide/", root);
  for await (const { name } of Deno.readDir(folder)) {
    const page = await Deno.readTextFile(new URL(name, folder));
    for (const [, code] of page.matchAll(/^```ts\n(.*?)^```$/gms)) {
      const [room] = /^.*^await using server = serve\(Room[^\n]*$/ms
        .exec(code!) ?? [];
      if (room?.includes(" say: ")) found.set(name, room);
    }
  }
  return found;
}

/** More, said a hundred times, than a network keeps for one who doesn't read. */
const long = "x".repeat(100_000);

/**
 * A hundred times somebody comes, something is said, and he leaves, the first half
 * of them while it is said.
 */
async function talk(
  url: string,
  say: (text: string) => Promise<unknown>,
): Promise<void> {
  for (let said = 1; said <= 100; said++) {
    using leaving = await RawSocket.connect(url);
    const saying = say(long);
    if (said <= 50) leaving[Symbol.dispose]();
    await saying;
  }
}

/** Something to be shown, and when it has been shown a hundred times. */
function screen() {
  const { promise, resolve } = Promise.withResolvers<void>();
  let shown = 0;
  return { isFull: promise, show: () => ++shown === 100 && resolve() };
}

Deno.test("The guide has two rooms, one of which asks its members", async () => {
  const found = await rooms();
  assertEquals([...found.keys()].sort(), ["events.md", "service.md"]);
  assert(found.get("service.md")!.includes("poll: "));
});

for (const [page, room] of await rooms()) {
  Deno.test(`The room of ${page} doesn't wait for a frozen member, nor for who leaves`, async () => {
    await using program = await start(Deno.execPath(), {
      args: ["run", "--allow-net", "-"],
      cwd: fileURLToPath(root),
    });
    await program.write(
      `${room}\nconsole.log(server.url);\nawait server.finished;\n`,
    );
    await program.endInput();
    const url = await program.line(/^ws:/);

    // Completes its handshake, and reads nothing of what is sent to it.
    using _frozen = await RawSocket.connect(url);
    const { isFull, show } = screen();
    const local = { show, vote: () => true };
    await using ann = connect(url, { local });
    await using bob = connect(url, { local: { ...local, show() {} } });
    await bob.opened;

    if (room.includes("poll: ")) {
      using leaving = await RawSocket.connect(url);
      const poll = ann.request("poll", ["Tea?"]);
      await leaving.receive();
      leaving[Symbol.dispose]();
      assertEquals(await poll, 2);
    }
    await talk(url, (text) => ann.request("say", [text]));
    await isFull;
  });
}

Deno.test("The chat doesn't wait for a frozen member, nor for who leaves", async () => {
  await using server = serve(Chat, { port: 0, onListen() {} });
  using _frozen = await RawSocket.connect(server.url);
  const { isFull, show } = screen();
  await using ann = connect(server.url);
  await using _bob = connect(server.url, { local: { message: show } });
  await _bob.opened;
  await talk(server.url, async () => {
    await ann.request("say", ["x".repeat(2_000)]);
  });
  await isFull;
  await ann.request("clients");
});
