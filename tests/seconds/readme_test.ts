/**
 * The README's first listings, run exactly as it prints them, and the commands
 * that it names. Its other snippets run as documentation tests.
 */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, root));
}

/** The fenced blocks of a document, in order. */
function listings(document: string): string[] {
  return Array.from(
    document.matchAll(/^```[^\n]*\n(.*?)^```$/gms),
    ([, code]) => code!,
  );
}

/** Runs an example by the command in its first comment. */
function run(example: string): Deno.ChildProcess {
  const [command, ...args] = example.split("\n")[0]!.slice(3).split(" ");
  assertEquals(command, "deno");
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("README prints the minimal service, server and client, and what they say", async () => {
  const [service, server, client, output] = listings(await read("README.md"));
  assertEquals(service, await read("examples/minimal_service.ts"));
  assertEquals(server, await read("examples/minimal_server.ts"));
  assertEquals(client, await read("examples/minimal_client.ts"));

  const serving = run(server!);
  // Where Deno says that it listens.
  const lines = serving.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let heard = "";
  while (!heard.includes(":8889/")) {
    const { value, done } = await lines.read();
    assert(!done, `The server ended, is port 8889 in use? It said: ${heard}`);
    heard += value;
  }
  const { stdout, success } = await run(client!).output();
  assertEquals(new TextDecoder().decode(stdout), output);
  assert(success);

  serving.kill();
  await Promise.all([lines.cancel(), serving.stdout.cancel()]);
  await serving.status;
});

Deno.test("README names two commands, with the one Deno that everything uses", async () => {
  const readme = await read("README.md");
  const commands = readme.match(/^npx .*$/gm);
  assertEquals(commands, [
    "npx -y deno@2.9.5 task start",
    "npx -y deno@2.9.5 task test",
  ]);
  const { tasks } = JSON.parse(await read("deno.json")) as {
    tasks: { [name: string]: unknown };
  };
  assert("start" in tasks && "test" in tasks);
  const contributing = await read("CONTRIBUTING.md");
  assert(contributing.includes("npx -y deno@2.9.5"));
});
