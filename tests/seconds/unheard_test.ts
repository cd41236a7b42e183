/** Calls that nobody listens to, in processes of their own. */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { node24 } from "../interop/node_program.ts";

const bun = fileURLToPath(import.meta.resolve("@oven/bun-linux-x64/bin/bun"));
const program = import.meta.resolve("./unheard_program.ts");

const commands = {
  Deno: [Deno.execPath(), "eval", "--no-check"],
  Node: [node24, "--input-type=module", "--eval"],
  Bun: [bun, "-e"],
} as const;

const told = [
  '["RpcError: Internal error","RpcError: Internal error","TimeoutError: No sign of life from request \\"never\\" within 10 ms"]',
  "[]",
];

for (const [name, [command, ...args]] of Object.entries(commands)) {
  Deno.test(`A call that fails and that nobody listens to is told to onerror, and ends no process, in ${name}`, async () => {
    for (const ending of ["well", "badly"]) {
      const script = `
        const { run } = await import(${JSON.stringify(program)});
        await run(${JSON.stringify(ending)});
      `;
      const { stdout, stderr, success } = await new Deno.Command(command!, {
        args: [...args, script],
        cwd: new URL("../../", import.meta.url),
      }).output();
      const log = new TextDecoder().decode(stderr);
      assertEquals(
        // Bun goes on, and ends badly all the same.
        new TextDecoder().decode(stdout).trim().split("\n").slice(0, 4),
        [...told, ...told],
        log,
      );
      // An error of the program's own is what it always was.
      assertEquals(success, ending === "well", log);
      if (!success) assertStringIncludes(log, "of the program's own");
    }
  });
}
