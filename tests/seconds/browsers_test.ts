/** The search for browsers, as a program. */

import { assertEquals } from "@std/assert";

/** Runs browsers.ts where programs are looked for in this folder alone. */
async function runScript(
  folder: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-env",
      "--allow-read",
      "--allow-run",
      new URL("../browsers.ts", import.meta.url).href,
    ],
    env: { PATH: folder, CHROMIUM: "", FIREFOX: "", NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

Deno.test("browsers.ts as a script ends with 1 where it can install nothing", async () => {
  const { code, stdout, stderr } = await runScript("/nowhere");
  // macOS and Windows may have them outside of the PATH.
  if (code !== 0 || Deno.build.os === "linux") {
    assertEquals(code, 1);
    assertEquals(stdout, "");
    assertEquals(stderr.trim().split("\n").length, 1);
  }
});

Deno.test({
  name: "findBrowsers installs only what is missing, as root on Debian",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const script = async (name: string, text: string) => {
        await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}\n`, {
          mode: 0o755,
        });
      };
      await script("id", "echo 0");
      await script("chromium", "exit 0");
      // A package manager that writes down what it was told.
      await script(
        "apt-get",
        `echo "$DEBIAN_FRONTEND $*" >> ${folder}/log
if [ "$1" = install ]; then
  echo > ${folder}/firefox-esr
  /bin/chmod +x ${folder}/firefox-esr
fi`,
      );
      const { code, stdout, stderr } = await runScript(folder);
      assertEquals(code, 0, stderr);
      assertEquals(stdout.trim().split("\n"), [
        "$ apt-get update",
        "$ apt-get install -y --no-install-recommends firefox-esr",
        `Chromium: ${folder}/chromium`,
        `Firefox: ${folder}/firefox-esr`,
      ]);
      assertEquals(
        await Deno.readTextFile(`${folder}/log`),
        [
          "noninteractive update\n",
          "noninteractive install -y --no-install-recommends firefox-esr\n",
        ].join(""),
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
