/**
 * The cost of a remote's types for a type checker: `checker.ts remote` checks a
 * program that calls through `Remote`, `checker.ts declared` the same one with the
 * methods declared by hand as promises.
 */

import { converse } from "./lines.ts";

/** The number of methods of the contract, each called once. */
export const methods = 300;

// Half of the methods stand in groups of this size.
const groupSize = 10;

interface Program {
  /** The result type of the server's methods. */
  result: (value: string) => string;
  /** The program's way to the methods. */
  remote: string;
}

const programs: Record<string, Program> = {
  declared: {
    result: (value) => `Promise<${value}>`,
    remote: `declare const peer: Peer;
const remote = peer.remote as unknown as Contract;`,
  },
  remote: {
    result: (value) => value,
    remote: `declare const peer: Peer<Contract>;
const { remote } = peer;`,
  },
};

if (import.meta.main) {
  const program = programs[Deno.args[0]!]!;
  const directory = await Deno.makeTempDir();
  try {
    await converse("ready", () => check(program, directory));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Checks a program as if it were new, and returns how many seconds it took. */
async function check(program: Program, directory: string): Promise<number> {
  // The checker skips a text that it has checked before.
  const nonce = `// ${crypto.randomUUID()}\n`;
  await Deno.writeTextFile(
    `${directory}/contract.ts`,
    nonce + contract(program),
  );
  await Deno.writeTextFile(`${directory}/program.ts`, nonce + calls(program));
  const before = performance.now();
  const { success, stderr } = await new Deno.Command("deno", {
    args: ["check", "--no-config", "--no-lock", "program.ts"],
    cwd: directory,
  }).output();
  const seconds = (performance.now() - before) / 1000;
  if (!success) {
    throw new Error(`Cannot check: ${new TextDecoder().decode(stderr)}`);
  }
  return seconds;
}

function contract({ result }: Program): string {
  // No two methods are alike, or the checker would remember the first.
  const declare = (index: number) => `
  method${index}(
    id: number,
    name: string,
    options: { limit${index}: number; deep?: boolean },
  ): ${result(`{ count${index}: number; name: string; tags: string[] }`)};`;
  const flat = methods / 2;
  const text = Array.from({ length: flat }, (_, index) => declare(index));
  for (let first = flat; first < methods; first += groupSize) {
    const group = Array.from(
      { length: groupSize },
      (_, index) => declare(first + index),
    );
    text.push(`\n  group${first}: {${group.join("")}\n  };`);
  }
  return `export interface Contract {${text.join("")}\n}\n`;
}

function calls({ remote }: Program): string {
  const call = (index: number) => {
    const grouped = index - methods / 2;
    const group = grouped < 0 ? "" : `group${index - grouped % groupSize}.`;
    return `(await remote.${group}method${index}(${index}, "name", { limit${index}: 1 })).count${index}`;
  };
  const text = Array.from(
    { length: methods },
    (_, index) => `export const count${index}: number = ${call(index)};`,
  );
  return `import type { Peer } from "${new URL("../mod.ts", import.meta.url)}";
import type { Contract } from "./contract.ts";
${remote}
${text.join("\n")}
// A checker that takes anything has checked nothing.
// @ts-expect-error: a number is no string.
export const wrong: string = ${call(methods - 1)};
`;
}
