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
