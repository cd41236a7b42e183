/** The search for browsers, on machines that are made up. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { findBrowsers, lookUp, type Machine } from "./browsers.ts";

/** A machine with these files, all executable, and this environment. */
function machine(
  os: Machine["os"],
  files: string[],
  env: Record<string, string>,
): Machine {
  return {
    os,
    env: (name) => env[name],
    isExecutable: (path) => files.includes(path),
  };
}

Deno.test("lookUp prefers the environment variable", () => {
  const linux = machine("linux", ["/usr/bin/firefox", "/opt/ff"], {
    PATH: "/usr/bin",
    FIREFOX: "/opt/ff",
  });
  assertEquals(lookUp("firefox", linux), "/opt/ff");
});

Deno.test("lookUp refuses an environment variable that names no executable", () => {
  const linux = machine("linux", ["/usr/bin/chromium"], {
    PATH: "/usr/bin",
    CHROMIUM: "/nowhere",
  });
  assertThrows(
    () => lookUp("chromium", linux),
    Error,
    'Cannot use CHROMIUM: "/nowhere" is no executable file',
  );
});

Deno.test("lookUp searches the PATH in its order", () => {
  const files = ["/a/google-chrome", "/b/chromium", "/b/firefox-esr"];
  const linux = machine("linux", files, { PATH: "/x::/a:/b" });
  assertEquals(lookUp("chromium", linux), "/a/google-chrome");
  assertEquals(lookUp("firefox", linux), "/b/firefox-esr");
  assertEquals(lookUp("chromium", machine("linux", files, {})), undefined);
});

Deno.test("lookUp knows the applications of macOS", () => {
  const chrome = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
  const firefox = "/Users/ann/Applications/Firefox.app/Contents/MacOS/firefox";
  const mac = machine("darwin", [chrome, firefox], {
    PATH: "/usr/bin",
    HOME: "/Users/ann",
  });
  assertEquals(lookUp("chromium", mac), chrome);
  assertEquals(lookUp("firefox", mac), firefox);
});

Deno.test("lookUp knows the programs of Windows", () => {
  const edge =
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe";
  const firefox = "C:\\tools\\firefox.exe";
  const windows = machine("windows", [edge, firefox], {
    PATH: "C:\\Windows;C:\\tools",
    "ProgramFiles(x86)": "C:\\Program Files (x86)",
  });
  assertEquals(lookUp("chromium", windows), edge);
  assertEquals(lookUp("firefox", windows), firefox);
});

Deno.test("findBrowsers says in one sentence what is missing", async () => {
  await assertRejects(
    () => findBrowsers(machine("linux", [], { PATH: "/usr/bin" })),
    Error,
    "Cannot find chromium and firefox: install them, or set CHROMIUM and FIREFOX to the path of the executable",
  );
  await assertRejects(
    () => findBrowsers(machine("linux", ["/b/chromium"], { PATH: "/b" })),
    Error,
    "Cannot find firefox: install it, or set FIREFOX to the path of the executable",
  );
});

Deno.test("browsers.ts as a script ends with 1 where it can install nothing", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-env",
      "--allow-read",
      "--allow-run",
      new URL("browsers.ts", import.meta.url).href,
    ],
    env: { PATH: "/nowhere", CHROMIUM: "", FIREFOX: "", NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  // macOS and Windows may have them outside of the PATH.
  if (code !== 0 || Deno.build.os === "linux") {
    assertEquals(code, 1);
    assertEquals(decoder.decode(stdout), "");
    assertEquals(decoder.decode(stderr).trim().split("\n").length, 1);
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
      const { code, stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--allow-env",
          "--allow-read",
          "--allow-run",
          new URL("browsers.ts", import.meta.url).href,
        ],
        env: { PATH: folder, CHROMIUM: "", FIREFOX: "", NO_COLOR: "1" },
        stderr: "inherit",
      }).output();
      assertEquals(code, 0);
      assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
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
