/**
 * The soak of a cluster in short.
 */

import { assert, assertEquals } from "@std/assert";

for (const engine of ["nats", "redis"]) {
  Deno.test(`Each message of a room comes or is told as missed, over ${engine}, whatever goes wrong`, async () => {
    const args = ["task", "soak:cluster", "--engine", engine, "--seed", "1"];
    args.push("--minutes", "0.5", "--clients", "60");
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args,
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1" },
      },
    ).output();
    const [printed, complaints] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assert(success, `${printed}${complaints}`);
    const last = printed!.trimEnd().split("\n").at(-1);
    assertEquals(last, "no violations");
    // What never happened was not tried.
    assert(/\bresult [1-9]/.test(printed!), printed);
    assert(/messages: [1-9]/.test(printed!), printed);
    assert(/history: [1-9]\d* said, [1-9]/.test(printed!), printed);
    assert(/came back: [1-9]/.test(printed!), printed);
  });
}
