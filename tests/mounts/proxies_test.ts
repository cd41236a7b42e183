/**
 * A server behind nginx, Caddy and HAProxy: the real ones, with the configuration
 * that docs/guide/mounts.md prints, and with less than that.
 */

import { assert, assertEquals } from "@std/assert";
import { generate } from "selfsigned";
import type { CloseInfo } from "../../mod.ts";
import { connect } from "../../node.ts";
import {
  type Refusal,
  serve,
  type Server,
  type ServeSettings,
} from "../../server.ts";
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

/** What the proxies end TLS with. */
const { cert, private: key } = await generate(
  [{ name: "commonName", value: name }],
  {
    algorithm: "sha256",
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: false },
      { name: "subjectAltName", altNames: [{ type: 2, value: name }] },
    ],
  },
);

/** A folder with that in files. */
async function folderOf(proxy: string): Promise<TemporaryFolder> {
  const folder = await temporaryFolder(`${proxy}_`);
  await Deno.writeTextFile(`${folder.path}/chat.crt`, cert);
  await Deno.writeTextFile(`${folder.path}/chat.key`, key);
  await Deno.writeTextFile(`${folder.path}/chat.pem`, `${cert}\n${key}`);
  return folder;
}

interface Setup extends AsyncDisposable {
  readonly server: Server;
  /** What the server refused, and why. */
  readonly refusals: Refusal[];
  /** The addresses that the proxy said. */
  readonly addresses: string[];
  /** How its connections ended. */
  readonly ends: CloseInfo[];
}

/** A server behind a proxy, as the page has it, and with more. */
function setUp(
  more: Pick<ServeSettings, "idleTimeout" | "origins"> = {},
): Setup {
  const ends: CloseInfo[] = [];
  const refusals: Refusal[] = [];
  const addresses: string[] = [];
  const server = serve({
    port: 0,
    hostname: "127.0.0.1",
    hosts: [name],
    ...more,
    onListen() {},
    onclose: (end) => void ends.push(end),
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
    ends,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Where a page of the proxy's is, and how it connects. */
interface Page {
  /** Default: `https:` at the proxy's port. */
  origin?: string;
  /** Default: `wss:`. */
  scheme?: "ws" | "wss";
}

/** The options of a page's client at a proxy's port. */
function optionsOf(port: number, { origin }: Page = {}) {
  return {
    headers: {
      "host": `${name}:${port}`,
      "origin": origin ?? `https://${name}:${port}`,
      "x-forwarded-for": "192.0.2.1", // Anybody can say so.
    },
    webSocketOptions: { ca: cert, servername: name },
    local: { ask: () => "fine" },
  };
}

/** A page's connection through the proxy: what it is told, or how it is refused. */
async function hello(port: number, page: Page = {}): Promise<unknown> {
  let status: number | undefined;
  await using client = connect<{ hello(name: string): Promise<string> }>(
    `${page.scheme ?? "wss"}://127.0.0.1:${port}/rpc`,
    {
      ...optionsOf(port, page),
      reconnect: false,
      onattempt: (attempt) => void (status = attempt.status),
    },
  );
  return await client.remote.hello("ann").catch(() => status);
}

async function startNginx(
  folder: TemporaryFolder,
  port: number,
  server: string,
): Promise<Program> {
  const here = server.replace("listen 443", `listen 127.0.0.1:${port}`)
    .replaceAll("/etc/ssl", folder.path);
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
      ${here}
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

/** nginx's configuration with a server's port, and something in the place of a line. */
function nginxOf({ server }: Setup, line?: RegExp, other = ""): string {
  const whole = printed("nginx").replace("8000", new URL(server.url).port);
  if (line === undefined) return whole;
  const changed = whole.replace(line, other);
  assert(changed !== whole, `There is no ${line}`);
  return changed;
}

Deno.test("nginx ends TLS and passes WebSockets on with the lines of the guide, and what lacks one of them is refused as it says", async () => {
  await using setup = setUp();
  const nobody = `127.0.0.1:${freePort()}`;
  const cases: [
    server: string,
    outcome: unknown,
    reasons?: string[],
    page?: Page,
  ][] = [
    [nginxOf(setup), "ann is fine"],
    [nginxOf(setup, /proxy_set_header Upgrade .*;/), 426, ["handshake"]],
    [nginxOf(setup, /proxy_set_header Connection .*;/), 426, ["handshake"]],
    [nginxOf(setup, /proxy_set_header Host .*;/), 403, ["hosts"]],
    // Without its port it is not where the page comes from.
    [nginxOf(setup, /\$http_host/, "$host"), 403, ["origins"]],
    [nginxOf(setup), 403, ["origins"], { origin: "https://example.com" }],
    [nginxOf(setup, /127\.0\.0\.1:\d+/, nobody), 502],
    [nginxOf(setup, /http:\/\//, "https://"), 502],
    [nginxOf(setup), 400, [], { scheme: "ws" }],
  ];
  for (const [server, outcome, reasons = [], page] of cases) {
    setup.refusals.length = 0;
    setup.addresses.length = 0;
    await using folder = await folderOf("nginx");
    const port = freePort();
    await using _ = await startNginx(folder, port, server);
    assertEquals(await hello(port, page), outcome, server);
    assertEquals(setup.refusals.map(({ reason }) => reason), reasons);
    const isAsked = outcome === "ann is fine" || reasons[0] === "origins";
    assertEquals(setup.addresses, isAsked ? ["127.0.0.1"] : []);
  }
});

Deno.test("Behind what ends TLS a page of http: is of the same host, unless origins names the other", async () => {
  for (const isNamed of [false, true]) {
    await using folder = await folderOf("nginx");
    const port = freePort();
    const origins = [`https://${name}:${port}`];
    await using setup = setUp(isNamed ? { origins } : {});
    await using _ = await startNginx(folder, port, nginxOf(setup));
    const page = { origin: `http://${name}:${port}` };
    assertEquals(await hello(port, page), isNamed ? 403 : "ann is fine");
    assertEquals(await hello(port), "ann is fine");
  }
});

for (const isAsked of [false, true]) {
  const what = isAsked
    ? "keeps who is asked for a sign of life more often, by idleTimeout"
    : "ends who is asked for none meanwhile, with 1006, and its client comes back";
  Deno.test(`A proxy that ends silent connections after 3 seconds ${what}`, async () => {
    await using setup = setUp(isAsked ? { idleTimeout: 3 } : {});
    const { port: own } = new URL(setup.server.url);
    const starts:
      ((folder: TemporaryFolder, port: number) => Promise<Program>)[] = [
        (folder, port) =>
          startNginx(
            folder,
            port,
            nginxOf(setup, /proxy_pass/, "proxy_read_timeout 3s;\n$&"),
          ),
        (folder, port) =>
          startHaproxy(
            folder,
            port,
            [own, own],
            (config) =>
              config.replace("timeout tunnel 1h", "timeout tunnel 3s"),
          ),
      ];
    for (const startProxy of starts) {
      setup.ends.length = 0;
      await using folder = await folderOf("silent");
      const port = freePort();
      await using _ = await startProxy(folder, port);
      const lost: CloseInfo[] = [];
      await using client = connect<{ hello(name: string): Promise<string> }>(
        `wss://127.0.0.1:${port}/rpc`,
        {
          ...optionsOf(port),
          onattempt() {},
          onclose: (end) => void lost.push(end),
        },
      );
      await client.opened;
      await new Promise((resolve) => setTimeout(resolve, 4_500));
      assertEquals(await client.remote.hello("ann"), "ann is fine");
      assertEquals(lost.length > 0, !isAsked);
      assert(lost.every((it) => it.code === 1006 && it.retryIn !== undefined));
      assertEquals(setup.ends.length > 0, !isAsked);
    }
  });
}

Deno.test("Caddy ends TLS and passes WebSockets on as it is", async () => {
  await using setup = setUp();
  await using folder = await folderOf("caddy");
  const port = freePort();
  // A certificate of its own is what it would ask for.
  const tls = `tls ${folder.path}/chat.crt ${folder.path}/chat.key`;
  const config = `{\nadmin off\nauto_https off\n}\n${printed("caddyfile")}`
    .replace(`${name} {`, `https://${name}:${port} {\n${tls}\n`)
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

/** @param ports Those of two servers. */
async function startHaproxy(
  folder: TemporaryFolder,
  port: number,
  ports: readonly string[],
  change = (config: string): string => config,
): Promise<Program> {
  const config = printed("haproxy")
    .replace("bind :443", `bind 127.0.0.1:${port}`)
    .replace("/etc/ssl", folder.path)
    .replace("10.0.0.1:8000", `127.0.0.1:${ports[0]}`)
    .replace("10.0.0.2:8000", `127.0.0.1:${ports[1]}`);
  await Deno.writeTextFile(`${folder.path}/haproxy.cfg`, `${change(config)}\n`);
  return await start(await debian("haproxy", "haproxy"), {
    args: ["-db", "-f", `${folder.path}/haproxy.cfg`],
    port,
  });
}

Deno.test("HAProxy ends TLS and shares connections between two servers, and a client of one that leaves goes on at the other", async () => {
  await using one = setUp();
  await using two = setUp();
  await using folder = await folderOf("haproxy");
  const port = freePort();
  const ports = [one, two].map(({ server }) => new URL(server.url).port);
  await using _ = await startHaproxy(folder, port, ports);
  const options = { ...optionsOf(port), onattempt() {} };
  await using ann = connect(`wss://127.0.0.1:${port}/rpc`, options);
  // Of two that come at once neither has a server that is less busy.
  await ann.opened;
  await using bob = connect(`wss://127.0.0.1:${port}/rpc`, options);
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
