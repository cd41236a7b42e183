/** Runs an example as a user does: by the command in its first comment. */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

/**
 * Runs an example to its end.
 *
 * @param file Its path in the repository.
 * @param args What stands for the sample arguments of the command.
 * @returns What it printed on stdout.
 * @throws {Error} It failed.
 */
export async function runExample(
  file: string,
  ...args: string[]
): Promise<string> {
  const source = await Deno.readTextFile(new URL(file, root));
  const [deno, run, ...rest] = source.split("\n")[0]!.slice(3).split(" ");
  assertEquals([deno, run], ["deno", "run"]);
  const flags = rest.slice(0, rest.indexOf(file));
  assert(flags.every((flag) => /^--allow-[a-z]+(=.+)?$/.test(flag)));

  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, file, ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [printed, complaint] = [stdout, stderr].map((it) =>
    new TextDecoder().decode(it)
  );
  assert(success, `${file} failed:\n${complaint}`);
  return printed!;
}
