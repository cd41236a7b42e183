/**
 * A server behind nginx, Caddy and HAProxy: the real ones, with the configuration
 * that docs/guide/mounts.md prints, and with less than that.
 */

import { assertEquals } from "@std/assert";
import { connect } from "../../node.ts";
import { type Refusal, serve, type Server } from "../../server.ts";
import { debian, freePort, type Program, start } from "../interop/processes.ts";
import {
  type TemporaryFolder,
  temporaryFolder,
} from "../interop/temporary_folder.ts";

const page = await Deno.readTextFile(
  new URL("../../docs/guide/mounts.md", import.meta.url),
);

/** The configuration that the page prints in a language. */
function printed(language: string): string {
  const [, code] = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms")
    .exec(page) ?? [];
  if (code === undefined) throw new Error(`The page has no ${language}`);
  return code;
}

const name = "chat.example.com";

interface Setup extends AsyncDisposable {
  readonly server: Server;
  /** What the server refused, and why. */
  readonly refusals: Refusal[];
  /** The addresses that the proxy said. */
  readonly addresses: string[];
}

/** A server behind a proxy, as the page has it. */
function setUp(): Setup {
  const refusals: Refusal[] = [];
  const addresses: string[] = [];
  const server = serve({
    port: 0,
    hostname: "127.0.0.1",
    hosts: [name],
    onListen() {},
    onrefuse: (refusal) => void refusals.push(refusal),
    // An address counts where it is asked who connects.
    authorize: () => ({}),
    addressOf({ headers }) {
      const said = headers.get("x-forwarded-for") ?? "";
      const address = said.split(",").at(-1)!.trim();
      addresses.push(address);
      return address;
    },
    local: {
      async hello(name: string) {
        return `${name} is ${await this.request("ask")}`;
      },
    },
  });
  return {
    server,
    refusals,
    addresses,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A page's connection through the proxy: what it is told, or how it is refused. */
async function hello(port: number): Promise<unknown> {
  let status: number | undefined;
  await using client = connect<{ hello(name: string): Promise<string> }>(
    `ws://127.0.0.1:${port}/rpc`,
    {
      headers: {
        "host": name,
        "origin": `https://${name}`,
        "x-forwarded-for": "192.0.2.1", // Anybody can say so.
      },
      reconnect: false,
      onattempt: (attempt) => void (status = attempt.status),
      local: { ask: () => "fine" },
    },
  );
  return await client.remote.hello("ann").catch(() => status);
}

async function startNginx(
  folder: TemporaryFolder,
  port: number,
  location: string,
): Promise<Program> {
  const config = `
    daemon off;
    pid ${folder.path}/pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder.path}/body;
      proxy_temp_path ${folder.path}/proxy;
      fastcgi_temp_path ${folder.path}/fastcgi;
      scgi_temp_path ${folder.path}/scgi;
      uwsgi_temp_path ${folder.path}/uwsgi;
      server { listen 127.0.0.1:${port}; ${location} }
    }`;
  await Deno.writeTextFile(`${folder.path}/nginx.conf`, config);
  return await start(await debian("nginx", "nginx"), {
    args: [
      "-e",
      "stderr",
      "-p",
      folder.path,
      "-c",
      `${folder.path}/nginx.conf`,
    ],
    port,
  });
}

Deno.test("nginx passes WebSockets on with the lines of the guide, and what lacks one of them is refused as it says", async () => {
  await using setup = setUp();
  const location = printed("nginx")
    .replace("8000", new URL(setup.server.url).port);
  const without = (line: RegExp): string => {
    const changed = location.replace(line, "");
    if (changed === location) throw new Error(`There is no ${line}`);
    return changed;
  };
  const cases: [location: string, outcome: unknown, reasons: string[]][] = [
    [location, "ann is fine", []],
    [without(/proxy_set_header Upgrade .*;/), 426, []],
    [without(/proxy_set_header Connection .*;/), 426, []],
    [without(/proxy_set_header Host .*;/), 403, ["hosts"]],
    [location.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${freePort()}`), 502, []],
  ];
  for (const [text, outcome, reasons] of cases) {
    setup.refusals.length = 0;
    setup.addresses.length = 0;
    await using folder = await temporaryFolder("nginx_");
    const port = freePort();
    await using _ = await startNginx(folder, port, text);
    assertEquals(await hello(port), outcome, text);
    assertEquals(setup.refusals.map(({ reason }) => reason), reasons);
    const isAsked = outcome === "ann is fine";
    assertEquals(setup.addresses, isAsked ? ["127.0.0.1"] : []);
  }
});

Deno.test("Caddy passes WebSockets on as it is", async () => {
  await using setup = setUp();
  await using folder = await temporaryFolder("caddy_");
  const port = freePort();
  const config = `{\nadmin off\n}\n${printed("caddyfile")}`
    .replace(name, `http://${name}:${port}`)
    .replace("8000", new URL(setup.server.url).port);
  await Deno.writeTextFile(`${folder.path}/Caddyfile`, config);
  await using _ = await start(await debian("caddy", "caddy"), {
    args: ["run", "--config", `${folder.path}/Caddyfile`],
    env: { HOME: folder.path },
    port,
  });
  assertEquals(await hello(port), "ann is fine");
  assertEquals(setup.addresses, ["127.0.0.1"]);
});

Deno.test("HAProxy shares connections between two servers, and a client of one that leaves goes on at the other", async () => {
  await using one = setUp();
  await using two = setUp();
  await using folder = await temporaryFolder("haproxy_");
  const port = freePort();
  const config = printed("haproxy")
    .replace(/bind .*/, `bind 127.0.0.1:${port}`)
    .replace("10.0.0.1:8000", `127.0.0.1:${new URL(one.server.url).port}`)
    .replace("10.0.0.2:8000", `127.0.0.1:${new URL(two.server.url).port}`);
  await Deno.writeTextFile(`${folder.path}/haproxy.cfg`, `${config}\n`);
  await using _ = await start(await debian("haproxy", "haproxy"), {
    args: ["-db", "-f", `${folder.path}/haproxy.cfg`],
    port,
  });
  const headers = {
    "host": name,
    "origin": `https://${name}`,
    "x-forwarded-for": "192.0.2.1",
  };
  const options = { headers, onattempt() {}, local: { ask: () => "fine" } };
  await using ann = connect(`ws://127.0.0.1:${port}/rpc`, options);
  await using bob = connect(`ws://127.0.0.1:${port}/rpc`, options);
  const both = [ann, bob];
  for (const peer of both) await peer.request("hello", ["ann"]);
  assertEquals([one.server.peers.size, two.server.peers.size], [1, 1]);

  await one.server.drain({ within: 1_000, spread: 0 });
  for (const peer of both) {
    assertEquals(await peer.request("hello", ["ann"]), "ann is fine");
  }
  assertEquals(two.server.peers.size, 2);
  const addresses = new Set([...one.addresses, ...two.addresses]);
  assertEquals([...addresses], ["127.0.0.1"]);
});
