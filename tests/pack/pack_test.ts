/**
 * The package as npm's users have it: packed, installed, compiled and run in
 * projects as their generators make them, by TypeScript from 5.4 to the newest. In
 * each of them are lines that must not compile.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { fileURLToPath } from "node:url";
import { node24 } from "../interop/node_program.ts";
import { browsers, browserTest, start } from "../pages.ts";
import { pack, repositoryOf, run } from "./tarball.ts";

/** The generator of Vite's projects. */
const generator = "create-vite@9.3.0";

/** What the projects need that Vite's don't name; these do so themselves. */
const packages: { readonly [name: string]: string } = {
  "@cloudflare/workers-types": "5.20261117.1",
  "@types/express": "^5.0.0",
  "esbuild": "^0.28.0",
  "express": "^5.3.0",
  "ts54": "npm:typescript@~5.4.0",
  "ts56": "npm:typescript@5.6.3",
  "ts59": "npm:typescript@5.9.3",
  // What vue-tsc runs with.
  "typescript": "6.0.3",
  "ts7": "npm:typescript@7.0.2",
};

/** The versions with an API, in which each project is checked in one process. */
const versions = ["ts54", "ts56", "ts59", "typescript"];

/** The projects, and the files that plain TypeScript can read of each. */
const projects: { readonly [config: string]: string } = {
  "react/tsconfig.app.json": "src/main.tsx",
  "vue/tsconfig.app.json": "src/exercise.ts",
  "node/tsconfig.json": "main.ts",
  "express/tsconfig.json": "main.ts",
  "worker/tsconfig.json": "worker.ts",
};

const sources = new URL("projects/", import.meta.url);
const { version } = JSON.parse(
  await Deno.readTextFile(new URL("../../../deno.json", sources)),
);
const folder = await Deno.makeTempDir({ prefix: "pack_test_" });
const remove = (): Promise<void> => Deno.remove(folder, { recursive: true });
Deno.test.afterAll(remove);

const bin = `${folder}/node_modules`;
const npm = (...args: string[]): Promise<string> =>
  run("npm", [
    ...args,
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefer-offline",
  ], folder);
const node = (...args: string[]): Promise<string> => run(node24, args, folder);

/** The projects, with the package and all that they need; installed once for all. */
async function install(): Promise<void> {
  await writeManifest({});
  const [tarball] = await Promise.all([
    pack(folder),
    npm("install", generator),
  ]);
  const dependencies: { [name: string]: string } = {};
  for (const kind of ["react", "vue"]) {
    const template = ["--template", `${kind}-ts`, "--no-interactive"];
    await node(`${bin}/create-vite/index.js`, kind, ...template);
    const manifest = JSON.parse(
      await Deno.readTextFile(`${folder}/${kind}/package.json`),
    );
    Object.assign(
      dependencies,
      manifest.dependencies,
      manifest.devDependencies,
    );
    await Deno.remove(`${folder}/${kind}/package.json`);
  }
  delete dependencies["oxlint"];
  await writeManifest({
    ...dependencies,
    ...packages,
    "@jsonrpcws/peer": `file:${tarball}`,
  });
  await npm("install");
  const places = ["react/src", "vue/src", "node", "express", "worker"];
  for (const place of places) {
    const name = place.split("/")[0]!;
    await Deno.mkdir(`${folder}/${place}`, { recursive: true });
    for (const { name: file } of Deno.readDirSync(new URL(name, sources))) {
      await copy(`${name}/${file}`, `${place}/${file}`);
    }
    await copy("service.ts", `${place}/service.ts`);
    await copy("exercise.ts", `${place}/exercise.ts`);
  }
  await copy("check.mjs", "check.mjs");
  await copy("bundle.mjs", "bundle.mjs");
}

function writeManifest(dependencies: object): Promise<void> {
  const manifest = { private: true, type: "module", dependencies };
  return Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify(manifest),
  );
}

function copy(from: string, to: string): Promise<void> {
  return Deno.copyFile(new URL(from, sources), `${folder}/${to}`);
}

try {
  await install();
} catch (error) {
  await remove();
  throw error;
}

for (const version of versions) {
  Deno.test(`The package's types hold in every project, ${version}`, async () => {
    const all = Object.entries(projects).map((it) => it.join(":"));
    const printed = await node("check.mjs", version, ...all);
    assertEquals(
      printed.trim().split("\n"),
      Object.keys(projects).flatMap((config) => [
        `${config} skipLibCheck true: ok`,
        `${config} skipLibCheck false: ok`,
      ]),
    );
  });
}

Deno.test("The package's types hold in every project, the newest TypeScript", async () => {
  const tsc = `${bin}/ts7/bin/tsc`;
  for (const config of Object.keys(projects)) {
    for (const skip of ["true", "false"]) {
      const args = [tsc, "-p", config, "--noEmit", "--skipLibCheck", skip];
      const printed = await node(...args).catch((error) => `${error}`);
      const ours = printed.split("\n").filter((line) =>
        /error TS/.test(line) && !/^node_modules\/(?!@jsonrpcws)/.test(line) &&
        !/\.vue'/.test(line)
      );
      assertEquals(ours, [], `${config} ${skip}`);
    }
  }
});

Deno.test("The package runs in a Node project", async () => {
  await node(`${bin}/typescript/bin/tsc`, "-p", "node");
  assertEquals(await node("node/dist/main.js"), "ok, function, 1\n");
});

Deno.test("The package runs in a Worker's project", async () => {
  await node(
    `${bin}/esbuild/bin/esbuild`,
    "worker/worker.ts",
    "--bundle",
    "--format=esm",
    "--conditions=workerd,worker,browser",
    "--outfile=worker/dist.mjs",
  );
  const call =
    `import worker from "${folder}/worker/dist.mjs"; const request = new Request("http://localhost"); console.log(await (await worker.fetch(request, {})).text())`;
  const printed = await node("--input-type=module", "--eval", call);
  assertEquals(printed, "ok, function\n");
});

browserTest(
  "The package runs in Vite's projects, served by one with Express",
  async () => {
    const vite = `${bin}/vite/bin/vite.js`;
    await Promise.all([
      node(`${bin}/ts7/bin/tsc`, "-b", "react"),
      node(`${bin}/vue-tsc/bin/vue-tsc.js`, "-b", "vue"),
      node(vite, "build", "react", "--base", "./"),
      node(vite, "build", "vue", "--base", "./"),
      node(`${bin}/typescript/bin/tsc`, "-p", "express"),
    ]);
    const server = new Deno.Command(node24, {
      args: ["express/dist/main.js", "react", "vue"],
      cwd: folder,
      stdout: "piped",
    }).spawn();
    try {
      const { value } = await server.stdout.getReader().read();
      const port = new TextDecoder().decode(value).trim();
      const { launch } = browsers[0]!;
      await using tabs = await start(launch);
      for (const name of ["react", "vue"]) {
        const url = new URL(`http://127.0.0.1:${port}/${name}/`);
        const page = await tabs.open(url);
        // Not with `shows`: a framework changes the text of a node, which puppeteer
        // doesn't hear of.
        const isShown = `document.querySelector("#text")?.textContent === "ok"`;
        await page.waitForFunction(isShown, { polling: 100 });
      }
      assertEquals(tabs.complaints, []);
    } finally {
      server.kill();
      await server.status;
    }
  },
);

/** What a page imports, and the files that it must not draw in for that. */
const draws: readonly [door: string, name: string, others: RegExp][] = [
  ["", "RpcError", /^(?!src\/wire\/error\.js$)/],
  [
    "/client",
    "connect",
    /^[a-z]+\.js$|^src\/(server|methods|events)\/|small|socket_pair|ws_socket/,
  ],
  [
    "/slim",
    "connect",
    /^(?!slim)[a-z]+\.js$|^src\/(server|methods|events)\/|^src\/parts\/(?!pacing)|everything/,
  ],
  ["/discovery", "describe", /^src\/(?!methods\/|peer\/methods\.js$|wire\/)/],
  ["/testing", "socketPair", /^src\/(?!line\/|runtime\/|wire\/)/],
  ["/react", "useConnection", /^(?!react\.js$)/],
];

for (const [door, name, others] of draws) {
  Deno.test(`A page that imports @jsonrpcws/peer${door} gets no other door's code, by esbuild and by Vite`, async () => {
    const code = `import { ${name} } from "@jsonrpcws/peer${door}"; ` +
      `globalThis.it = ${name};`;
    const entry = `page${door.replace("/", "_")}`;
    const printed = await node("bundle.mjs", entry, code);
    const both = JSON.parse(printed.trim().split("\n").at(-1)!) as string[][];
    assertEquals(both.length, 2);
    for (const files of both) {
      assertEquals(files.length > 0, true);
      assertEquals(files.filter((file) => others.test(file)), []);
    }
  });
}

/** A project in Deno that has the clone as README says, with one program. */
async function denoProject(program: string): Promise<string> {
  const project = await Deno.makeTempDir({ dir: folder, prefix: "deno_" });
  const [, specifier] = /"@jsonrpcws\/peer": ("jsr:[^"]+")/.exec(
    await Deno.readTextFile(new URL("../../../README.md", sources)),
  )!;
  await Deno.writeTextFile(
    `${project}/deno.json`,
    JSON.stringify({
      links: [fileURLToPath(new URL("../../../", sources))],
      imports: { "@jsonrpcws/peer": JSON.parse(specifier!) },
    }),
  );
  await Deno.writeTextFile(`${project}/main.ts`, program);
  return project;
}

Deno.test("A program in Deno takes the clone by links, as README says", async () => {
  const project = await denoProject(
    'import { connect } from "@jsonrpcws/peer/client"; console.log(typeof connect);',
  );
  const printed = await run(Deno.execPath(), ["run", "main.ts"], project);
  assertEquals(printed, "function\n");
});

Deno.test("A forgotten authorize is reported by its name, on Deno's server too", async () => {
  const begin = `
    import { Peer } from "@jsonrpcws/peer";
    import { serve } from "@jsonrpcws/peer/server";
    class Chat extends Peer<unknown, { user: string }> {}`;
  const wrong: [call: string, why: string][] = [
    ["serve(Chat);", "The class has a context: give authorize, which tells it"],
    ["serve(Chat, { port: 8000 });", "Property 'authorize' is missing"],
  ];
  for (const [call, why] of wrong) {
    const project = await denoProject(`${begin} ${call}`);
    const error = await assertRejects(
      () => run(Deno.execPath(), ["check", "main.ts"], project),
      Error,
      why,
    );
    // What it said before.
    assertEquals(/'(key|cert)'/.test(error.message), false, error.message);
  }
});

Deno.test("Node loads each door from few files, and finds in it what its modules have", async () => {
  const { exports } = JSON.parse(
    await Deno.readTextFile(`${bin}/@jsonrpcws/peer/package.json`),
  );
  const doors = Object.keys(exports);
  assert(doors.length > 10);
  const program = `
    import { registerHooks } from "node:module";
    const [door, file] = process.argv.slice(1);
    const files = [];
    registerHooks({
      load(url, context, next) {
        if (url.includes("/@jsonrpcws/peer/")) files.push(url);
        return next(url, context);
      },
    });
    const built = await import("@jsonrpcws/peer" + door);
    const count = files.length;
    const all = await import("@jsonrpcws/peer");
    console.log(JSON.stringify({
      count,
      files: [...files],
      isOne: built.Peer === undefined || door === "/slim" || built.Peer === all.Peer,
      names: namesOf(built),
      modules: namesOf(await import("./node_modules/@jsonrpcws/peer/" + file)),
    }));
    function namesOf(module) {
      return Object.entries(module).map(([name, it]) => [name, it.name ?? null]);
    }
  `;
  for (const door of doors) {
    const printed = await node(
      ...["--input-type=module", "--eval", program],
      ...["--", door.slice(1), exports[door].default],
    );
    const { count, files, isOne, names, modules } = JSON.parse(printed);
    assertEquals(names, modules, door);
    assert(isOne, door);
    assert(count > 0 && count <= 20, `${door}: ${count}`);
    for (const url of files) assertStringIncludes(url, "/peer/built/");
  }
});

Deno.test("npm would publish the package as it is, for everybody", async () => {
  const tarball = `${folder}/jsonrpcws-peer-${version}.tgz`;
  // It asks no registry: nobody needs one, or an account there, for a rehearsal.
  const args = ["publish", "--dry-run", "--json", "--offline", tarball];
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args,
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const complaints = new TextDecoder().decode(stderr);
  assert(success, complaints);
  // It says what it had to mend.
  assertEquals(/auto-?corrected|invalid/i.test(complaints), false, complaints);
  assertStringIncludes(complaints, "with tag latest and public access");
  const told = JSON.parse(new TextDecoder().decode(stdout));
  const { name, files, unpackedSize } = told["@jsonrpcws/peer"] ?? told;
  assertEquals(name, "@jsonrpcws/peer");
  const paths: string[] = files.map(({ path }: { path: string }) => path);
  for (const path of ["package.json", "README.md", "LICENSE", "mod.d.ts"]) {
    assert(paths.includes(path), path);
  }
  const others = paths.filter((path) =>
    !/^(src\/.*|[a-z]+)(\.d\.ts|\.js)$|^[A-Z]+\.md$|^LICENSE$|^package\.json$/
      .test(path) && !/^built\/(chunk-\w+|[a-z]+)\.js$/.test(path)
  );
  assertEquals(others, []);
  assert(unpackedSize < 1_700_000, `${unpackedSize}`);
});

Deno.test("The package says where its source is, as far as anybody does", async () => {
  const addresses: [address: string, url: string | undefined][] = [
    ["https://example.com/a/b", "git+https://example.com/a/b"],
    ["https://token@example.com/a/b.git", "git+https://example.com/a/b.git"],
    ["git+https://example.com/a/b.git", "git+https://example.com/a/b.git"],
    ["git@example.com:a/b.git", "git+ssh://git@example.com/a/b.git"],
    ["/home/ann/b", undefined],
    ["../b", undefined],
    ["", undefined],
  ];
  for (const [address, url] of addresses) {
    assertEquals(repositoryOf(address), url);
  }
  const script = fileURLToPath(new URL("../tarball.ts", sources));
  const task = async (args: string[], env: Record<string, string> = {}) => {
    const place = await Deno.makeTempDir({ dir: folder });
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-env", "--allow-read", "--allow-run"]
        .concat("--allow-write", script, ...args),
      cwd: place,
      env,
    }).output();
    const said = new TextDecoder().decode(stderr);
    const [tarball] = Array.from(Deno.readDirSync(place), ({ name }) => name);
    if (tarball === undefined) return { code, said };
    await run("tar", ["-xzf", tarball], place);
    const file = `${place}/package/package.json`;
    const { repository } = JSON.parse(await Deno.readTextFile(file));
    return { code, said, repository };
  };
  const address = "https://example.com/a/b";
  const told = await task([`--repository=${address}`]);
  const url = `git+${address}`;
  assertEquals([told.code, told.repository], [0, { type: "git", url }]);
  // A checkout that git knows nothing of.
  const untold = await task([], { GIT_DIR: folder });
  assertEquals([untold.code, untold.repository], [0, undefined]);
  assertStringIncludes(
    untold.said,
    "give --repository=https://host/owner/name",
  );
  const wrong = await task(["--repository=here"]);
  assertEquals(wrong.code, 1);
  assertStringIncludes(
    wrong.said,
    'Cannot take repository "here": write it as',
  );
});

Deno.test("The package is as npm wants it", async () => {
  const manifest = await Deno.readTextFile(
    `${bin}/@jsonrpcws/peer/package.json`,
  );
  const { sideEffects, engines, description, license } = JSON.parse(manifest);
  assertEquals([sideEffects, license], [false, "MIT"]);
  assertStringIncludes(engines.node, ">=");
  assertStringIncludes(description, "JSON-RPC");
  const files = [...Deno.readDirSync(`${bin}/@jsonrpcws/peer`)]
    .map(({ name }) => name);
  for (const name of ["README.md", "LICENSE", "mod.js", "mod.d.ts"]) {
    assertEquals(files.includes(name), true, name);
  }
  assertEquals(files.includes("tests"), false);
});
