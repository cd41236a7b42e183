/**
 * The programs of docs/guide/mounts.md: the package as npm's users have it, in real
 * frameworks, which answer their own routes and have their own WebSockets.
 */

import { assert, assertEquals } from "@std/assert";
import { once } from "node:events";
import { io } from "socket.io-client";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { connect } from "../../node.ts";
import { serve } from "../../server.ts";
import { node24 } from "../interop/node_program.ts";
import { freePort, type Program, start } from "../interop/processes.ts";
import { pack, run } from "../pack/tarball.ts";
import { listings, recipes } from "../recipes.ts";
import { serve as serveWorker } from "../workers/workerd.ts";

const programs = new URL("programs/", import.meta.url);
const files = Array.from(Deno.readDirSync(programs), ({ name }) => name);

/** The page that each of them has of its own. */
const pages: { readonly [path: string]: string } = {
  "hello.html": "<p>A page</p>",
  "pages/hello.js": 'export default () => "A page";',
};

const folder = await Deno.makeTempDir({ prefix: "mounts_test_" });
const remove = (): Promise<void> => Deno.remove(folder, { recursive: true });
Deno.test.afterAll(remove);

/** The frameworks, the package, and the programs, in one folder. */
async function install(): Promise<void> {
  const dependencies = {
    "@hono/node-server": "*",
    // As wrangler bundles.
    "esbuild": "^0.28.0",
    "@jsonrpcws/peer": `file:${await pack(folder)}`,
    "express": "^5.0.0",
    "fastify": "^5.0.0",
    "hono": "^4.0.0",
    "next": "^16.0.0",
    "react": "^19.0.0",
    "react-dom": "^19.0.0",
    "socket.io": "^4.0.0",
    "vite": "^8.0.0",
  };
  const manifest = { private: true, type: "module", dependencies };
  await write("package.json", JSON.stringify(manifest));
  await run("npm", [
    "install",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefer-offline",
  ], folder);
  await Deno.mkdir(`${folder}/pages`);
  for (const [path, text] of Object.entries(pages)) await write(path, text);
  for (const name of files) {
    await Deno.copyFile(new URL(name, programs), `${folder}/${name}`);
  }
}

function write(path: string, text: string): Promise<void> {
  return Deno.writeTextFile(`${folder}/${path}`, text);
}

try {
  await install();
} catch (error) {
  await remove();
  throw error;
}

Deno.test("docs/guide/mounts.md prints these programs", async () => {
  const page = new URL("../../docs/guide/mounts.md", import.meta.url);
  const sections = listings(await Deno.readTextFile(page));
  for (const name of files) {
    const program = await Deno.readTextFile(new URL(name, programs));
    const marked = recipes(program);
    assertEquals(marked.length, 1, name);
    for (const [title, code] of marked) {
      assertEquals(
        sections.get(title)?.includes(code),
        true,
        `${name}: ${title}`,
      );
    }
  }
});

/** What listens on a port, started by its program. */
function startMount(
  name: string,
  port: number,
  more: Record<string, string> = {},
): Promise<Program> {
  const isDeno = name.includes("deno");
  return start(isDeno ? Deno.execPath() : node24, {
    args: isDeno ? ["run", "--allow-all", `${name}.js`] : [`${name}.js`],
    cwd: folder,
    env: {
      PORT: `${port}`,
      NEXT_TELEMETRY_DISABLED: "1",
      NO_COLOR: "1",
      ...more,
    },
    port,
    timeout: 60_000,
  });
}

interface Greeter {
  hello(name: string): Promise<string>;
}

/** A call, in which the server calls back. */
async function greets(url: string, headers = {}): Promise<void> {
  await using client = connect<Greeter>(url, {
    headers,
    reconnect: false,
    local: { ask: (question: string) => `fine (${question})` },
  });
  assertEquals(await client.remote.hello("ann"), "ann is fine (How are you?)");
  client.close();
  await client.closed;
}

/** The HTTP status by which a handshake is refused. */
async function refusalOf(url: string): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const onattempt = ({ status }: { status?: number }) => resolve(status);
  await using _ = connect(url, { onattempt, reconnect: false });
  return await promise;
}

for (const name of ["express", "fastify", "hono_node", "hono_deno"]) {
  Deno.test(`A peer beside ${name}: its pages answer, and what is nobody's is refused`, async () => {
    const port = freePort();
    await using _ = await startMount(name, port);
    const page = await fetch(`http://localhost:${port}/hello`);
    assertEquals(await page.text(), "A page");
    await greets(`ws://localhost:${port}/rpc`);
    assertEquals(await refusalOf(`ws://localhost:${port}/other`), 404);
  });
}

Deno.test("A peer in Hono on Workers: its pages answer, and what is nobody's is refused", async () => {
  const scratch = await Deno.makeTempDir({ prefix: "mounts_workerd_" });
  await run("node_modules/esbuild/bin/esbuild", [
    "hono_workers.js",
    "--bundle",
    "--format=esm",
    "--conditions=workerd,worker,browser",
    `--outfile=${scratch}/program.js`,
  ], folder);
  await using workerd = await serveWorker(scratch, [], "2026-04-01");
  const page = await fetch(`${workerd.url.replace("ws:", "http:")}hello`);
  assertEquals(await page.text(), "A page");
  await greets(`${workerd.url}rpc`);
  assertEquals(await refusalOf(`${workerd.url}other`), 404);
});

Deno.test("Fastify closes with its peers' connections", async () => {
  const port = freePort();
  await using app = await startMount("fastify", port);
  await using client = connect(`ws://localhost:${port}/rpc`, {
    reconnect: false,
  });
  await client.opened;
  const [{ code }, { success }] = await Promise.all([
    client.closed,
    app.stop(),
  ]);
  assertEquals([code, success], [1012, true]);
});

Deno.test("A peer beside Vite: its page hears of changes", async () => {
  const port = freePort();
  await using _ = await startMount("vite", port);
  const page = await fetch(`http://localhost:${port}/hello.html`);
  assert((await page.text()).includes("A page"));
  await greets(`ws://localhost:${port}/rpc`);
  const hot = new WebSocket(`ws://localhost:${port}/`, "vite-hmr");
  const [hello] = await once(hot, "message");
  assertEquals(JSON.parse(String(hello)), { type: "connected" });
  hot.close();
  await once(hot, "close");
});

Deno.test("A peer beside Next: its page answers, and hears of changes", async () => {
  const port = freePort();
  await using _ = await startMount("next", port);
  const page = await fetch(`http://localhost:${port}/hello`);
  assert((await page.text()).includes("A page"));
  await greets(`ws://localhost:${port}/rpc`);
  const hot = new WebSocket(`ws://localhost:${port}/_next/hmr?id=1`);
  await once(hot, "open");
  hot.close();
  await once(hot, "close");
});

Deno.test("A peer beside what Next has built: its page answers, and what is nobody's is ended", async () => {
  const env = { NODE_ENV: "production" };
  await run(
    node24,
    ["node_modules/next/dist/bin/next", "build"],
    folder,
    { ...env, NEXT_TELEMETRY_DISABLED: "1" },
  );
  const port = freePort();
  await using _ = await startMount("next", port, env);
  const page = await fetch(`http://localhost:${port}/hello`);
  assert((await page.text()).includes("A page"));
  await greets(`ws://localhost:${port}/rpc`);
  assertEquals(await refusalOf(`ws://localhost:${port}/_next/hmr`), undefined);
});

Deno.test("A peer beside Socket.IO: its clients are served", async () => {
  const port = freePort();
  await using _ = await startMount("socket_io", port);
  const page = await fetch(`http://localhost:${port}/hello`);
  assertEquals(await page.text(), "A page");
  await greets(`ws://localhost:${port}/rpc`);
  const other = io(`http://localhost:${port}`, { transports: ["websocket"] });
  assertEquals(await other.emitWithAck("echo", "hello"), "hello");
  other.close();
});

Deno.test("A page of Vite's reaches a server behind Vite's proxy, unless it changes the origin", async () => {
  const refusals: string[] = [];
  await using server = serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    onrefuse: ({ reason }) => void refusals.push(reason),
    local: {
      async hello(name: string) {
        const ask = this.request("ask", ["How are you?"]);
        return `${name} is ${await ask}`;
      },
    },
  });
  const config = await Deno.readTextFile(`${folder}/vite_proxy.js`);
  for (const changesOrigin of [false, true]) {
    const proxy = changesOrigin ? "ws: true, changeOrigin: true" : "ws: true";
    const changed = config.replace("8000", new URL(server.url).port)
      .replace("ws: true", proxy).replace("localhost", "127.0.0.1");
    await write("proxy.config.js", changed);
    await using vite = await start(node24, {
      args: [
        "node_modules/vite/bin/vite.js",
        "--config=proxy.config.js",
        "--host=127.0.0.1",
        "--port=0",
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
    });
    // Not when its port takes a connection: first it listens to see whether it can,
    // and resets whoever comes then.
    const line = await vite.line(/Local: .*http:/);
    const { origin } = new URL(/http\S+/.exec(line)![0]);
    const url = `${origin.replace("http", "ws")}/rpc`;
    const headers = { origin };
    if (!changesOrigin) await greets(url, headers);
    else {
      const onattempt = () => {};
      const client = connect(url, { headers, reconnect: false, onattempt });
      await client.closed;
    }
  }
  assertEquals(refusals, ["origins"]);
});
