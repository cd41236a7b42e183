/**
 * docs/guide/migration.md, row by row: what was written with the other library, run by
 * the real one, beside what is written here. Both have the same outcome.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  JSONRPCClient,
  JSONRPCErrorException,
  type JSONRPCRequest,
  JSONRPCServer,
  JSONRPCServerAndClient,
} from "json-rpc-2.0";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { Client, Server as RpcServer } from "rpc-websockets";
import { Server as IoServer, type Socket as IoSocket } from "socket.io";
import { io, type Socket as IoClient } from "socket.io-client";
import { connect } from "../../client.ts";
import { cluster, memory } from "../../cluster.ts";
import {
  broadcast,
  ConnectionClosedError,
  guard,
  Peer,
  resume,
  RpcError,
} from "../../mod.ts";
import { upgrade } from "../../node.ts";
import { serve, type Server } from "../../server.ts";
import { socketPair } from "../../testing.ts";
import { until } from "../servers.ts";

/** What a row's two sides come to. */
interface Row {
  /** Absent: there was nothing of the kind. */
  then?: () => Promise<unknown>;
  now: () => Promise<unknown>;
}

/** Rows by how their first cells begin. */
type Rows = { readonly [then: string]: Row };

const page = await Deno.readTextFile(
  new URL("../../docs/guide/migration.md", import.meta.url),
);

/** The first cells of a section's table, but of what has no outcome here. */
function cellsOf(section: string): string[] {
  const [, text] = page.split(`\n## ${section}\n`);
  return text!.split("\n## ")[0]!.split("\n")
    .filter((line) => line.startsWith("|")).slice(2)
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter(([, , now]) => !now!.startsWith("none:"))
    .map(([, then]) => then!);
}

/** Runs each row, of which the page has no other ones. */
function migrationTest(
  library: string,
  stage: () => Promise<AsyncDisposable & { rows: Rows }>,
): void {
  Deno.test({
    name: `What was written with ${library} has the same outcome here`,
    // Timers and sockets of theirs outlive what they belong to.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(test) {
      await using it = await stage();
      const cells = cellsOf(`From ${library}`);
      assert(cells.length > 10);
      const names = Object.keys(it.rows);
      assertEquals(
        cells.filter((cell) => !names.some((name) => cell.startsWith(name))),
        [],
      );
      for (const [name, { then, now }] of Object.entries(it.rows)) {
        await test.step(name, async () => {
          assert(cells.some((cell) => cell.startsWith(name)), "No such row");
          const before = await then?.();
          const after = await now();
          assert(after !== undefined);
          if (then !== undefined) assertEquals(after, before);
        });
      }
    },
  });
}

async function listen(http: HttpServer): Promise<string> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return `127.0.0.1:${(http.address() as { port: number }).port}`;
}

/** Each its own connection, by WebSocket. */
const alone = { transports: ["websocket"], forceNew: true };

/** Whether a promise rejects. */
const fails = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(() => false, () => true);

migrationTest("Socket.IO", async () => {
  const http = createServer();
  const sockets = new IoServer(http, {
    connectionStateRecovery: {},
    transports: ["websocket"],
  });
  const host = await listen(http);
  const notes: string[] = [];
  const ends: string[] = [];
  let count = 0;
  sockets.use((socket, next) => {
    const { user } = socket.handshake.auth;
    if (user === "mallory") return next(new Error("Not you"));
    socket.data.user = user;
    next();
  });
  sockets.on("connection", (socket: IoSocket) => {
    socket.emit("welcome", ++count > 0);
    socket.on("save", (text: string, done?: (id: string) => void) => {
      notes.push(text);
      done?.(`id of ${text}`);
    });
    socket.on("never", () => {});
    socket.on("who", (done) => done(socket.data.user));
    socket.on("join", (room: string, done) => {
      socket.join(room);
      done("joined");
    });
    socket.on("tell", (room: string, text: string) => {
      sockets.to(room).emit("said", text);
    });
    socket.on("leave", () => socket.disconnect());
    socket.on("disconnect", () => ends.push(socket.data.user));
  });
  sockets.of("/admin").on("connection", (socket) => {
    socket.on("who", (done) => done("admin"));
  });
  const clients: IoClient[] = [];
  const open = async (user: string, path = ""): Promise<IoClient> => {
    const client = io(`http://${host}${path}`, {
      auth: { user },
      ...alone,
      reconnectionDelay: 50,
    });
    clients.push(client);
    await new Promise((resolve) => client.on("connect", () => resolve(0)));
    return client;
  };

  const said: string[] = [];
  const left: string[] = [];
  const engine = memory();
  const nodes = await cluster({ engine });
  const others = await cluster({ engine });
  class Chat extends Peer<
    { welcome(is: boolean): void; said(text: string): void },
    string
  > {
    readonly #user = this.context;
    override local = {
      save: (text: string) => (said.push(text), `id of ${text}`),
      never: () => new Promise<void>(() => {}),
      who: () => this.#user,
      join: async (name: string) => {
        await nodes.room(name).join(this, { key: this.#user });
        return "joined";
      },
      tell: (name: string, text: string) =>
        nodes.room(name).notify("said", [text]),
      id: () => nodes.idOf(this),
      leave: () => this.close(),
      async *naturals(from: number) {
        for (let n = from;; n++) yield await Promise.resolve(n);
      },
    };
    override onopen(): void {
      this.notify("welcome", [true]);
    }
    override onclose(): void {
      left.push(this.#user);
    }
  }
  const server: Server<Chat> = serve(Chat, {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    onrefuse() {},
    authorize(request): string | Response {
      const user = new URL(request.url).searchParams.get("user") ?? "";
      return user === "mallory" ? new Response(null, { status: 401 }) : user;
    },
  });
  const other = createServer();
  const local = { who: () => "admin" };
  const admin = upgrade({ path: "/admin", local });
  other.on("upgrade", admin);
  const otherHost = await listen(other);
  const peers: Peer[] = [];
  const meet = (user: string, local: object = {}): Peer<Chat["local"]> => {
    const url = `${server.url}?user=${user}`;
    const peer = connect<Chat["local"]>(url, {
      local: { welcome() {}, said() {}, ...local },
      reconnect: { delay: 50 },
      onattempt() {},
    });
    peers.push(peer as Peer);
    return peer;
  };

  const ann = await open("ann");
  const annNow = meet("ann");
  const hears = (client: IoClient): Promise<unknown> =>
    new Promise((resolve) => client.once("said", resolve));
  /** What each of a number of new peers hears next. */
  const hearsNow = (): [Peer<Chat["local"]>, Promise<unknown>] => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    return [meet("bob", { said: resolve }), promise];
  };
  const rows: Rows = {
    '`io.on("connection"': {
      then: () =>
        new Promise((resolve) => {
          const client = io(`http://${host}`, {
            auth: { user: "new" },
            ...alone,
          });
          clients.push(client);
          client.on("welcome", resolve);
        }),
      now: () => new Promise((resolve) => meet("new", { welcome: resolve })),
    },
    '`socket.on("save"': {
      then: () => new Promise((resolve) => ann.emit("save", "a", resolve)),
      now: () => annNow.remote.save("a"),
    },
    "`await socket.emitWithAck": {
      then: () => ann.emitWithAck("save", "b"),
      now: () => annNow.remote.save("b"),
    },
    '`socket.emit("save", text)`': {
      async then() {
        ann.emit("save", "note");
        await until(() => notes.includes("note"));
        return notes.at(-1);
      },
      async now() {
        annNow.notify("save", ["note"]);
        await until(() => said.includes("note"));
        return said.at(-1);
      },
    },
    "`socket.timeout(": {
      then: () => fails(ann.timeout(50).emitWithAck("never")),
      now: () => fails(annNow.with({ timeout: 50 }).never()),
    },
    '`io.emit("said", text)`': {
      async then() {
        const all = Promise.all([hears(ann), hears(await open("bob"))]);
        sockets.emit("said", "to all");
        return await all;
      },
      async now() {
        const [[one, first], [two, second]] = [hearsNow(), hearsNow()];
        await Promise.all([one.opened, two.opened]);
        broadcast(server.peers, "said", ["to all"]);
        return await Promise.all([first, second]);
      },
    },
    '`socket.join("room")`': {
      async then() {
        await ann.emitWithAck("join", "garden");
        const heard = hears(ann);
        ann.emit("tell", "garden", "hello");
        return await heard;
      },
      async now() {
        const [bob, heard] = hearsNow();
        await bob.remote.join("garden");
        bob.notify("tell", ["garden", "hello"]);
        return await heard;
      },
    },
    '`io.in("room").fetchSockets()`': {
      async then() {
        await ann.emitWithAck("join", "pond");
        const members = await sockets.in("pond").fetchSockets();
        return members.map(({ data }) => data.user);
      },
      async now() {
        await annNow.remote.join("pond");
        const { members } = await nodes.room("pond").members();
        return members.map(({ key }) => key);
      },
    },
    "`socket.id`": {
      async then() {
        ann.on("question", (text, done) => done(`fine (${text})`));
        const to = sockets.to(ann.id!).timeout(5_000);
        return await to.emitWithAck("question", "how?");
      },
      async now() {
        const question = (text: string) => `fine (${text})`;
        const eve = meet("eve", { question });
        const id = await eve.remote.id();
        return [await others.peer(id).request("question", ["how?"])];
      },
    },
    '`io.in("room").disconnectSockets()`': {
      async then() {
        const fay = await open("fay");
        await fay.emitWithAck("join", "cellar");
        const closed = new Promise((resolve) => fay.on("disconnect", resolve));
        sockets.in("cellar").disconnectSockets();
        return await closed !== undefined;
      },
      async now() {
        const fay = meet("fay");
        await fay.remote.join("cellar");
        await others.disconnect({ key: "fay" });
        return await fay.closed !== undefined;
      },
    },
    "an adapter for several servers": {
      // Of Socket.IO's a Redis would be needed.
      async now() {
        const [gil, heard] = hearsNow();
        await gil.remote.join("hall");
        await others.room("hall").publish("said", ["from afar"]);
        return await heard;
      },
    },
    "`socket.data`": {
      then: () => ann.emitWithAck("who"),
      now: () => annNow.remote.who(),
    },
    "`io.use(": {
      async then() {
        const client = io(`http://${host}`, {
          auth: { user: "mallory" },
          ...alone,
        });
        clients.push(client);
        const refused = new Promise((resolve) =>
          client.on("connect_error", () => resolve(true))
        );
        return [await refused, await ann.emitWithAck("who")];
      },
      async now() {
        const mallory = connect(`${server.url}?user=mallory`, {
          reconnect: false,
          onattempt() {},
        });
        return [await fails(mallory.opened), await annNow.remote.who()];
      },
    },
    '`io.of("/admin")`': {
      then: async () => (await open("root", "/admin")).emitWithAck("who"),
      now: () => {
        const url = `ws://${otherHost}/admin`;
        const peer = connect<typeof local>(url, { reconnect: false });
        peers.push(peer as Peer);
        return peer.remote.who();
      },
    },
    '`socket.on("disconnect"': {
      async then() {
        const cid = await open("cid");
        const closed = new Promise((resolve) => cid.on("disconnect", resolve));
        cid.emit("leave");
        await closed;
        await until(() => ends.includes("cid"));
        return ends.at(-1);
      },
      async now() {
        const cid = meet("cid");
        await cid.opened;
        cid.notify("leave", []);
        await cid.closed;
        await until(() => left.includes("cid"));
        return left.at(-1);
      },
    },
    "`connect_error`": {
      async then() {
        const port = (await freeHost()).split(":")[1];
        const client = io(`http://127.0.0.1:${port}`, {
          reconnectionDelay: 20,
          ...alone,
        });
        clients.push(client);
        await new Promise((resolve) => client.on("connect_error", resolve));
        return await new Promise((resolve) =>
          client.io.on("reconnect_attempt", resolve)
        );
      },
      async now() {
        const { promise, resolve } = Promise.withResolvers<number>();
        const client = connect(`ws://${await freeHost()}`, {
          reconnect: { delay: 20 },
          onattempt: ({ attempt }) => resolve(attempt),
        });
        peers.push(client as Peer);
        return await promise;
      },
    },
    "connection state recovery": {
      async then() {
        // What is missed is told afterwards, if anything was heard before.
        const first = hears(ann);
        sockets.emit("said", "1");
        const heard = [await first];
        ann.io.engine.close();
        await until(() => !ann.connected);
        const missed = hears(ann);
        sockets.emit("said", "2");
        heard.push(await missed);
        return heard.map(Number);
      },
      async now() {
        const dan = meet("dan");
        const heard: number[] = [];
        const numbers = resume(
          dan,
          (last?: number) => dan.remote.naturals((last ?? 0) + 1),
        );
        for await (const n of numbers) {
          if (heard.push(n) === 2) break;
          for (const peer of server.peers) peer.close(1012);
        }
        return heard;
      },
    },
    "`ServerToClientEvents`": {
      // Types alone, which the compiler has looked at in this file.
      then: () => Promise.resolve(typeof ann.emit),
      now: () => Promise.resolve(typeof annNow.remote.save),
    },
  };
  return {
    rows,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      for (const peer of peers) peer.close();
      await Promise.all(peers.map((peer) => peer.closed));
      await sockets.close();
      await others[Symbol.asyncDispose]();
      await nodes[Symbol.asyncDispose]();
      await admin.drain();
      other.close();
      await server.shutdown();
    },
  };
});

/** Where nobody listens. */
async function freeHost(): Promise<string> {
  const http = createServer();
  const host = await listen(http);
  http.close();
  await once(http, "close");
  return host;
}

migrationTest("rpc-websockets", async () => {
  const server = new RpcServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.on("listening", resolve));
  const { port } = server.wss.address() as { port: number };
  const log: unknown[] = [];
  server.register("sum", (params) => {
    const [a, b] = params as unknown as [number, number];
    return a + b;
  });
  server.register("never", () => new Promise(() => {}));
  server.register("log", (params) => void log.push(params));
  server.register("secret", () => 42).protected();
  server.setAuth((data) =>
    Promise.resolve((data as unknown as { user: string }).user === "ann")
  );
  server.event("news");
  const admins = server.of("/admin");
  admins.register("who", () => "admin");
  const clients: Client[] = [];
  const open = async (path = ""): Promise<Client> => {
    const client = new Client(`ws://127.0.0.1:${port}${path}`, {
      reconnect_interval: 50,
    });
    clients.push(client);
    await new Promise((resolve) => client.on("open", () => resolve(0)));
    return client;
  };
  const client = await open();

  const lines: unknown[] = [];
  class Service extends Peer<{ news(text: string): void }, string | undefined> {
    override local = {
      sum: (a: number, b: number) => a + b,
      never: () => new Promise<void>(() => {}),
      log: (...params: unknown[]) => void lines.push(params),
      login: (user: string) => void (this.context = user),
      secret: guard(() => this.context === "ann" || undefined, () => 42),
      news: async () => await this.request<string>("ask", ["What is new?"]),
    };
  }
  const now: Server<Service> = serve(Service, { port: 0, onListen() {} });
  const other = createServer();
  const local = { who: () => "admin" };
  const admin = upgrade({ path: "/admin", local });
  other.on("upgrade", admin);
  const otherHost = await listen(other);
  const heard: string[] = [];
  const peer = connect<Service["local"]>(now.url, {
    local: {
      news: (text: string) => void heard.push(text),
      ask: (question: string) => `nothing (${question})`,
    },
    reconnect: { delay: 50 },
    onattempt() {},
  });
  const five = {
    then: () => client.call("sum", [5, 3]),
    now: () => peer.remote.sum(5, 3),
  };
  const rows: Rows = {
    "`new Server({": five,
    '`server.register("sum"': five,
    '`new Client("ws': {
      then: async () => (await open()).call("sum", [1, 2]),
      async now() {
        await using peer = connect<Service["local"]>(now.url, {
          reconnect: false,
        });
        return await peer.remote.sum(1, 2);
      },
    },
    '`await client.call("sum", [5, 3])`': {
      ...five,
      now: () => peer.request("sum", [5, 3]),
    },
    '`client.call("sum", [5, 3], 1_000)`': {
      then: () => fails(client.call("never", [], 50) as Promise<unknown>),
      now: () => fails(peer.with({ timeout: 50 }).never()),
    },
    '`client.notify("log"': {
      async then() {
        await client.notify("log", ["text"]);
        await until(() => log.length > 0);
        return log;
      },
      async now() {
        peer.notify("log", ["text"]);
        await until(() => lines.length > 0);
        return lines;
      },
    },
    '`server.event("news")`': {
      async then() {
        const got = new Promise((resolve) => client.on("news", resolve));
        await client.subscribe("news");
        server.emit("news", "text");
        return await got;
      },
      async now() {
        await peer.opened;
        broadcast(now.peers, "news", ["text"]);
        await until(() => heard.length > 0);
        return heard[0];
      },
    },
    '`client.subscribe("news")`': {
      async then() {
        const got = new Promise((resolve) => client.once("news", resolve));
        server.emit("news", "more");
        return await got;
      },
      async now() {
        broadcast(now.peers, "news", ["more"]);
        await until(() => heard.length > 1);
        return heard[1];
      },
    },
    "`server.register(...).protected()`": {
      async then() {
        const before = await fails(client.call("secret") as Promise<unknown>);
        await client.login({ user: "ann" });
        return [before, await client.call("secret")];
      },
      async now() {
        const before = await fails(peer.remote.secret());
        await peer.remote.login("ann");
        return [before, await peer.remote.secret()];
      },
    },
    '`server.of("/admin")`': {
      then: async () => (await open("/admin")).call("who"),
      async now() {
        await using peer = connect<typeof local>(`ws://${otherHost}/admin`, {
          reconnect: false,
        });
        return await peer.remote.who();
      },
    },
    "`reconnect`": {
      async then() {
        const again = new Promise((resolve) =>
          client.once("open", () => resolve(0))
        );
        for (const socket of server.wss.clients) socket.terminate();
        await again;
        return await client.call("sum", [2, 2]);
      },
      async now() {
        for (const each of now.peers) each.close(1012);
        await until(() => peer.state === "connecting");
        return await peer.remote.sum(2, 2);
      },
    },
    "the server can't call a client": {
      now: () => peer.remote.news(),
    },
  };
  return {
    rows,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await server.close();
      peer.close();
      await peer.closed;
      await admin.drain();
      other.close();
      await now.shutdown();
    },
  };
});

migrationTest("json-rpc-2.0", () => {
  const log: unknown[] = [];
  const server = new JSONRPCServer({ errorListener() {} });
  server.addMethod("echo", ({ text }) => text);
  server.addMethod("never", () => new Promise(() => {}));
  server.addMethod("log", ({ text }) => void log.push(text));
  server.addMethod("refuse", () => {
    throw new JSONRPCErrorException("Taken", 409, { name: "ann" });
  });
  server.addMethod("break", () => {
    throw new Error("secret");
  });
  server.mapErrorToJSONRPCErrorResponse = (id, error) => ({
    jsonrpc: "2.0",
    id,
    error: error instanceof JSONRPCErrorException
      ? error.toObject()
      : { code: -32603, message: "Internal error" },
  });
  server.applyMiddleware(async (next, request, params) =>
    request.method === "closed"
      ? {
        jsonrpc: "2.0",
        id: request.id!,
        error: { code: -32051, message: "Forbidden" },
      }
      : await next(request, params)
  );
  server.addMethod("closed", () => "open");
  const [left, right] = socketPair({ open: true });
  const one = new JSONRPCServerAndClient(
    server,
    new JSONRPCClient((request) => left.send(JSON.stringify(request))),
    { errorListener() {} },
  );
  const two = new JSONRPCServerAndClient(
    new JSONRPCServer(),
    new JSONRPCClient((request) => right.send(JSON.stringify(request))),
  );
  two.addMethod("greet", () => "hello");
  const receive =
    (it: JSONRPCServerAndClient) => ({ data }: { data?: unknown }): void =>
      void it.receiveAndSend(JSON.parse(data as string));
  left.addEventListener("message", receive(one));
  right.addEventListener("message", receive(two));

  const lines: unknown[] = [];
  const local = {
    echo: ({ text }: { text: string }) => text,
    never: () => new Promise<void>(() => {}),
    log: ({ text }: { text: string }) => void lines.push(text),
    refuse() {
      throw new RpcError(409, "Taken", { name: "ann" });
    },
    break() {
      throw new Error("secret");
    },
    closed: guard(() => false, () => "open"),
  };
  const thrown: unknown[] = [];
  const [ours, theirs] = socketPair({ open: true });
  const callee = new Peer<{ greet(): string }>(ours, {
    local,
    onerror: (error) => void thrown.push(error),
  });
  const peer = new Peer<typeof local>(theirs, {
    local: { greet: () => "hello" },
  });
  const text = "hello";
  const echo: Row = {
    then: async () => await two.request("echo", { text }),
    now: () => peer.request("echo", { text }),
  };
  /** An error as the caller has it. */
  const told = async (call: PromiseLike<unknown>): Promise<unknown> => {
    const error = await assertRejects(
      async () => await call,
      Error,
    ) as RpcError;
    return [error.code, error.message, error.data];
  };
  const rows: Rows = {
    "`new JSONRPCServerAndClient(": {
      then: async () => [
        await two.request("echo", { text }),
        await one.request("greet", {}),
      ],
      now: async () => [
        await peer.request("echo", { text }),
        await callee.remote.greet(),
      ],
    },
    "`ws.onmessage =": echo,
    "`ws.onclose =": {
      async then() {
        const call = two.request("never", {});
        two.rejectAllPendingRequests("closed");
        return await fails(Promise.resolve(call));
      },
      async now() {
        const [, end] = socketPair({ open: true });
        const peer = new Peer(end);
        const call = peer.request("never");
        end.terminate();
        const error = await assertRejects(() => call, ConnectionClosedError);
        return error.code === 1006;
      },
    },
    "`server.addMethod(": echo,
    "`await client.request(": echo,
    "`client.timeout(": {
      then: async () =>
        await fails(Promise.resolve(two.timeout(50).request("never", {}))),
      now: () => fails(peer.request("never", [], { timeout: 50 })),
    },
    "`client.notify(": {
      async then() {
        two.notify("log", { text });
        await until(() => log.length > 0);
        return log;
      },
      async now() {
        peer.notify("log", { text });
        await until(() => lines.length > 0);
        return lines;
      },
    },
    "`client.requestAdvanced(": {
      async then() {
        const requests: JSONRPCRequest[] = ["a", "b"].map((text, index) => ({
          jsonrpc: "2.0",
          id: `batch ${index}`,
          method: "echo",
          params: { text },
        }));
        const responses = await two.requestAdvanced(requests);
        return responses.map(({ result }) => result);
      },
      now: () =>
        Promise.all(
          peer.batch(() =>
            ["a", "b"].map((text) => peer.request("echo", { text }))
          ),
        ),
    },
    "`throw new JSONRPCErrorException(": {
      then: () => told(two.request("refuse", {})),
      now: () => told(peer.request("refuse")),
    },
    "`mapErrorToJSONRPCErrorResponse`": {
      then: () => told(two.request("break", {})),
      async now() {
        const answer = await told(peer.request("break"));
        assertEquals(thrown.map(String), ["Error: secret"]);
        return answer;
      },
    },
    "`server.applyMiddleware(": {
      then: () => told(two.request("closed", {})),
      now: () => told(peer.request("closed")),
    },
    "`TypedJSONRPCClient<": {
      ...echo,
      now: () => peer.remote.echo({ text }),
    },
    "a transport that is no WebSocket": {
      then: async () => await one.request("greet", {}),
      now: () => callee.remote.greet(),
    },
  };
  return Promise.resolve({
    rows,
    async [Symbol.asyncDispose]() {
      left.close();
      right.close();
      peer.close();
      callee.close();
      await Promise.all([peer.closed, callee.closed]);
    },
  });
});
