/**
 * The download manager aria2 as a server: its JSON-RPC 2.0 over a WebSocket,
 * with its notifications and its deviations.
 *
 * @see {@link https://aria2.github.io/manual/en/html/aria2c.html#rpc-interface}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../client.ts";
import { ConnectionClosedError, notifications, RpcError } from "../../mod.ts";
import { debian, freePort, type Program, start, until } from "./processes.ts";

/** The methods that these tests call. */
interface Methods {
  aria2: {
    addUri(token: string, uris: string[], options?: object): string;
    getVersion(token: string): { version: string; enabledFeatures: string[] };
    remove(token: string, gid: string): string;
    tellStatus(token: string, gid: string): { gid: string; status: string };
  };
  system: {
    listMethods(): string[];
    listNotifications(): string[];
  };
}

const secret = "s3cret";
const token = `token:${secret}`;

interface Aria2 extends AsyncDisposable {
  program: Program;
  url: string;
  /** Where it downloads to. */
  folder: string;
}

async function startAria2(): Promise<Aria2> {
  const command = await debian("aria2", "aria2c");
  const folder = await Deno.makeTempDir();
  const port = freePort();
  const program = await start(command, {
    args: [
      "--no-conf",
      "--enable-rpc",
      `--rpc-listen-port=${port}`,
      `--rpc-secret=${secret}`,
      `--dir=${folder}`,
      "--disable-ipv6",
    ],
    port,
  });
  return {
    program,
    url: `ws://127.0.0.1:${port}/jsonrpc`,
    folder,
    async [Symbol.asyncDispose]() {
      // It takes a second over SIGTERM, for the sake of its peers.
      await program.stop("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Serves `/file`, which is whole at once, and `/endless`, which never is. */
function serveFiles(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new URL(request.url).pathname === "/file"
        ? new Response("what is in it")
        : new Response(
          new ReadableStream({
            start(stream) {
              stream.enqueue(new Uint8Array(16));
            },
          }),
          { headers: { "content-length": "1000000" } },
        ),
  );
}

Deno.test("Peer downloads a file with aria2 and is told when it is there", async () => {
  await using aria2 = await startAria2();
  await using files = serveFiles();
  const { url, folder } = aria2;
  const file = `http://127.0.0.1:${files.addr.port}/file`;

  // recipe: aria2
  interface Aria2 {
    aria2: {
      getVersion(token: string): { version: string };
      addUri(token: string, uris: string[], options?: object): string;
    };
  }
  const started: string[] = [];
  const completed = Promise.withResolvers<string>();
  const server = connect<Aria2>(url, { // "ws://localhost:6800/jsonrpc"
    local: {
      aria2: {
        onDownloadStart: (it: { gid: string }) => started.push(it.gid),
        onDownloadComplete: (it: { gid: string }) => completed.resolve(it.gid),
      },
    },
  });
  const token = `token:${secret}`; // What --rpc-secret says, in every call.
  const { version } = await server.remote.aria2.getVersion(token);
  const gid = await server.remote.aria2.addUri(token, [file], { out: "it" });
  const done = await completed.promise;
  server.close();
  // end

  assert(/^\d+\.\d+/.test(version), version);
  assertEquals(started, [gid]);
  assertEquals(done, gid);
  assertEquals(await Deno.readTextFile(`${folder}/it`), "what is in it");
  await server.closed;
});

Deno.test("Peer stops a download of aria2 that would not end", async () => {
  await using aria2 = await startAria2();
  const files = serveFiles();
  const events: string[] = [];
  await using client = connect<Methods>(aria2.url, {
    local: {
      "aria2.onDownloadStart": () => void events.push("start"),
      "aria2.onDownloadStop": () => void events.push("stop"),
    },
  });
  const { aria2: remote } = client.remote;
  const address = `http://127.0.0.1:${files.addr.port}/endless`;
  const gid = await remote.addUri(token, [address]);
  assertEquals(
    await remote.tellStatus(token, gid).then((it) => it.status),
    "active",
  );
  assertEquals(await remote.remove(token, gid), gid);
  await until(() => events.includes("stop"), "aria2 told that it stopped");
  assertEquals(events, ["start", "stop"]);
  assertEquals(
    await remote.tellStatus(token, gid).then((it) => it.status),
    "removed",
  );
  await client[Symbol.asyncDispose]();
  await aria2.program.stop("SIGKILL");
  await files.shutdown();
});

Deno.test("Peer iterates over the notifications of aria2", async () => {
  await using aria2 = await startAria2();
  await using files = serveFiles();
  await using client = connect<Methods>(aria2.url);
  const { aria2: remote } = client.remote;
  const completed = notifications<[{ gid: string }]>(
    client,
    "aria2.onDownloadComplete",
  );
  const file = `http://127.0.0.1:${files.addr.port}/file`;
  const gids = await Promise.all(client.batch(() => [
    remote.addUri(token, [file], { out: "one" }),
    remote.addUri(token, [file], { out: "two" }),
  ]));
  const done = new Set<string>();
  for await (const [{ gid }] of completed) {
    done.add(gid);
    if (done.size === gids.length) break;
  }
  assertEquals(done, new Set(gids));
});

Deno.test("Peer tells the errors of aria2 apart", async () => {
  await using aria2 = await startAria2();
  await using client = connect<Methods>(aria2.url);

  // Two seconds pass until it says so: begun first, awaited last.
  const unauthorized = assertRejects(
    () => client.remote.aria2.getVersion("token:guessed"),
    RpcError,
  );
  const unknown = await assertRejects(
    () => client.request("aria2.noSuchMethod", [token]),
    RpcError,
  );
  assertEquals([unknown.code, unknown.message], [
    1,
    "No such method: aria2.noSuchMethod",
  ]);
  const missing = await assertRejects(
    () => client.remote.aria2.tellStatus(token, "0123456789abcdef"),
    RpcError,
  );
  assertEquals(missing.code, 1);
  assert(missing.message.includes("not found"), missing.message);
  const byName = await assertRejects(
    () => client.request("aria2.getVersion", { token }),
    RpcError,
  );
  assertEquals(byName.code, -32602);
  const { code, message } = await unauthorized;
  assertEquals([code, message], [1, "Unauthorized"]);
  assertEquals(client.unmatched, 0);
});

Deno.test("Peer's batch is answered by aria2, an error for one member alone", async () => {
  await using aria2 = await startAria2();
  await using client = connect<Methods>(aria2.url);

  const [version, unknown, notifications] = await Promise.allSettled(
    client.batch(() => [
      client.remote.aria2.getVersion(token),
      client.request("aria2.noSuchMethod", [token]),
      client.remote.system.listNotifications(),
    ]),
  );
  assertEquals(version?.status, "fulfilled");
  assert(unknown?.status === "rejected");
  assertEquals((unknown.reason as RpcError).code, 1);
  assert(notifications?.status === "fulfilled");
  assert(
    (notifications.value as string[]).includes("aria2.onDownloadComplete"),
  );
});

Deno.test("Peer's requests stay apart from the answer that aria2 gives to a notification", async () => {
  await using aria2 = await startAria2();
  const errors: unknown[] = [];
  await using client = connect<Methods>(aria2.url, {
    onerror: (error) => void errors.push(error),
  });
  await client.opened;

  // It answers a notification, against the specification, by an error with id
  // null: in a batch after the members that were requests.
  const [methods] = client.batch(() => {
    const methods = client.remote.system.listMethods();
    client.notify("aria2.getVersion", [token]);
    return [methods];
  });
  assert((await methods!).includes("aria2.addUri"));

  // Nothing waits for it when it is alone.
  client.notify("aria2.getVersion", [token]);
  await until(() => errors.length > 0, "aria2 answered the notification");
  assertEquals((errors.at(-1) as RpcError).code, -32600);
  const { version } = await client.remote.aria2.getVersion(token);
  assert(version !== "");
});

Deno.test("Peer's call that aria2 has not answered rejects when it is killed", async () => {
  await using aria2 = await startAria2();
  await using client = connect<Methods>(aria2.url);
  await client.remote.aria2.getVersion(token);
  // One that takes its time to be answered: the token is wrong.
  const call = assertRejects(
    () => client.remote.aria2.getVersion("token:guessed"),
    ConnectionClosedError,
  );
  await aria2.program.stop("SIGKILL");
  const { code, sent } = await call;
  assertEquals([code, sent], [1006, true]);
});
