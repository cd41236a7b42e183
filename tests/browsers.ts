/**
 * Finds the two browsers that the tests drive, and installs what is missing
 * where that is possible: on Debian and its kin, as root.
 *
 * ```sh
 * deno run --allow-env --allow-read --allow-run tests/browsers.ts
 * ```
 *
 * @module
 */

/** Paths of the two executables. */
export interface Browsers {
  /** Chromium, or a browser made from it. */
  chromium: string;
  /** Firefox, or its extended support release. */
  firefox: string;
}

/** What a search looks at: a stand-in for the machine in tests. */
export interface Machine {
  /** As `Deno.build.os`. */
  os: typeof Deno.build.os;
  /** Value of an environment variable. */
  env(name: string): string | undefined;
  /** Whether a path names a file that can be started. */
  isExecutable(path: string): boolean;
}

/** The environment variable that names a browser by its path. */
const variables: { readonly [name in keyof Browsers]: string } = {
  chromium: "CHROMIUM",
  firefox: "FIREFOX",
};

const commands: { readonly [name in keyof Browsers]: readonly string[] } = {
  chromium: [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
  ],
  firefox: ["firefox", "firefox-esr"],
};

/** Where the installers of macOS put an application: on no PATH. */
const applications: { readonly [name in keyof Browsers]: readonly string[] } = {
  chromium: [
    "Chromium.app/Contents/MacOS/Chromium",
    "Google Chrome.app/Contents/MacOS/Google Chrome",
  ],
  firefox: ["Firefox.app/Contents/MacOS/firefox"],
};

/** The same on Windows, where Edge, which is always there, is a Chromium. */
const programs: { readonly [name in keyof Browsers]: readonly string[] } = {
  chromium: [
    "Chromium\\Application\\chrome.exe",
    "Google\\Chrome\\Application\\chrome.exe",
    "Microsoft\\Edge\\Application\\msedge.exe",
  ],
  firefox: ["Mozilla Firefox\\firefox.exe"],
};

const packages: { readonly [name in keyof Browsers]: string } = {
  chromium: "chromium",
  firefox: "firefox-esr",
};

/** The machine this runs on. */
export const thisMachine: Machine = {
  os: Deno.build.os,
  env: (name) => Deno.env.get(name),
  isExecutable(path) {
    try {
      const { isFile, mode } = Deno.statSync(path);
      return isFile && (mode === null || (mode & 0o111) !== 0);
    } catch {
      return false;
    }
  },
};

/**
 * Looks for one browser: in its environment variable, on the `PATH`, then in
 * the usual places of the system. Changes nothing.
 *
 * @returns Its path; `undefined` if it is nowhere.
 * @throws {Error} The environment variable is set, and names no executable.
 */
export function lookUp(
  name: keyof Browsers,
  machine: Machine = thisMachine,
): string | undefined {
  const variable = variables[name];
  const named = machine.env(variable);
  if (named) {
    if (machine.isExecutable(named)) return named;
    // To go on with another browser would hide the mistake.
    throw new Error(`Cannot use ${variable}: "${named}" is no executable file`);
  }
  return places(name, machine).find((path) => machine.isExecutable(path));
}

/** Every path worth a look, best first. */
function places(name: keyof Browsers, { os, env }: Machine): string[] {
  const windows = os === "windows";
  const separator = windows ? "\\" : "/";
  const join = (
    folders: readonly (string | undefined)[],
    ends: readonly string[],
  ) =>
    folders.filter((folder) => folder).flatMap((folder) =>
      ends.map((end) => `${folder}${separator}${end}`)
    );

  const names = commands[name].map((it) => windows ? `${it}.exe` : it);
  const onPath = join((env("PATH") ?? "").split(windows ? ";" : ":"), names);
  switch (os) {
    case "darwin":
      return [
        ...onPath,
        ...join(["/Applications"], applications[name]),
        ...join([`${env("HOME") ?? ""}/Applications`], applications[name]),
      ];
    case "windows":
      return [
        ...onPath,
        ...join(
          [env("ProgramFiles"), env("ProgramFiles(x86)"), env("LOCALAPPDATA")],
          programs[name],
        ),
      ];
    default:
      return onPath;
  }
}

/**
 * Finds both browsers, and first installs what is missing where it can.
 *
 * @throws {Error} One is missing and cannot be installed here: the message says
 * what to do.
 */
export async function findBrowsers(
  machine: Machine = thisMachine,
): Promise<Browsers> {
  const names = ["chromium", "firefox"] as const;
  const missing = names.filter((name) => lookUp(name, machine) === undefined);
  if (missing.length > 0 && await canInstall(machine)) await install(missing);

  const [chromium, firefox] = names.map((name) => lookUp(name, machine));
  if (chromium !== undefined && firefox !== undefined) {
    return { chromium, firefox };
  }
  const lacking = names.filter((name) => lookUp(name, machine) === undefined);
  throw new Error(
    `Cannot find ${lacking.join(" and ")}: install ${
      lacking.length > 1 ? "them" : "it"
    }, or set ${
      lacking.map((name) => variables[name]).join(" and ")
    } to the path of the executable`,
  );
}

/** Whether packages of Debian can be installed by this process. */
async function canInstall(machine: Machine): Promise<boolean> {
  if (machine.os !== "linux") return false;
  const folders = (machine.env("PATH") ?? "").split(":");
  const has = (command: string) =>
    folders.some((folder) => machine.isExecutable(`${folder}/${command}`));
  // Asked of id(1), since Deno.uid() would need one permission more.
  return has("apt-get") && has("id") && await output("id", "-u") === "0";
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Runs apt-get in sight of the user; what it could not do shows in the next look. */
async function install(missing: readonly (keyof Browsers)[]): Promise<void> {
  await run("apt-get", "update");
  await run(
    "apt-get",
    "install",
    "-y",
    "--no-install-recommends",
    ...missing.map((name) => packages[name]),
  );
}

async function run(command: string, ...args: string[]): Promise<void> {
  console.log(`$ ${[command, ...args].join(" ")}`);
  await new Deno.Command(command, {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
}

if (import.meta.main) {
  try {
    const { chromium, firefox } = await findBrowsers();
    console.log(`Chromium: ${chromium}`);
    console.log(`Firefox: ${firefox}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
