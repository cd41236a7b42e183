/**
 * vscode-jsonrpc, the JSON-RPC of Visual Studio Code and its language servers,
 * over vscode-ws-jsonrpc's socket, as the client of a server of this library.
 *
 * @see {@link https://github.com/microsoft/vscode-languageserver-node/tree/main/jsonrpc}
 */

import { assertEquals, assertRejects } from "@std/assert";
import {
  type CancellationToken,
  CancellationTokenSource,
  type MessageConnection,
  ProgressType,
  ResponseError,
  Trace,
} from "vscode-jsonrpc";
import { listen } from "vscode-ws-jsonrpc";
import { CloseCode, notifications, Peer, RpcError } from "../../mod.ts";
import { serve, type Server } from "../../server.ts";

/** What the editor lets the compiler call. */
interface Editor {
  ask(question: string): string;
}

class Compiler extends Peer<Editor> {
  readonly files: string[] = [];
  readonly isAborted = Promise.withResolvers<boolean>();

  override local = {
    add: (a: number, b: number) => a + b,
    subtract: (it: { minuend: number; subtrahend: number }) =>
      it.minuend - it.subtrahend,
    echo: (value?: unknown) => value,
    hello: async (name: string) =>
      `${name}: ${await this.remote.ask(`How are you, ${name}?`)}`,
    files: () => this.files,
    "document/open": ({ uri }: { uri: string }) => void this.files.push(uri),
    "document/build": async () => {
      const { signal } = this.call; // Before the first await.
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      this.isAborted.resolve(signal.aborted);
    },
    "document/lint": ({ workDoneToken }: { workDoneToken: string }) => {
      for (const value of ["parse", "check"]) {
        this.notify("$/progress", { token: workDoneToken, value });
      }
      return "clean";
    },
    refuse: () => {
      throw new RpcError(409, "Name is taken", { name: "ann" });
    },
    fail: () => {
      throw new Error("the database's password is wrong");
    },
  };
  override onerror() {} // Of what fails here on purpose.
}

Deno.test("vscode-jsonrpc calls by position and by name, and is called back", async () => {
  await using server = serveCompiler();
  const { url } = server;

  // recipe: vscode-jsonrpc, as a client
  const webSocket = new WebSocket(url);
  const connection = await new Promise<MessageConnection>((onConnection) =>
    listen({ webSocket, onConnection })
  );
  connection.onRequest("ask", (question: string) => `${question} Fine!`);
  connection.listen();

  const sum = await connection.sendRequest("add", 2, 3);
  const difference = await connection.sendRequest("subtract", {
    minuend: 42, // One object is params by name.
    subtrahend: 23,
  });
  const greeting = await connection.sendRequest("hello", "ann");

  connection.dispose();
  webSocket.close(); // dispose() leaves the socket open.
  // end

  assertEquals([sum, difference], [5, 19]);
  assertEquals(greeting, "ann: How are you, ann? Fine!");
  const [peer] = server.peers;
  assertEquals((await peer!.closed).code, CloseCode.NoStatus);
});

Deno.test("vscode-jsonrpc gets every falsy result as it is, and null for nothing", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection } = editor;

  for (const value of [0, false, "", null, []]) {
    assertEquals(await connection.sendRequest("echo", value), value);
  }
  assertEquals(await connection.sendRequest("echo"), null);
});

Deno.test("vscode-jsonrpc notifies and is notified", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection, peer } = editor;

  // Of this one nobody knows; it goes by unanswered.
  await connection.trace(Trace.Messages, { log: () => {} }, {
    sendNotification: true,
  });
  await connection.sendNotification("document/open", { uri: "file:///a" });
  await connection.sendNotification("document/open", { uri: "file:///b" });
  assertEquals(await connection.sendRequest("files"), [
    "file:///a",
    "file:///b",
  ]);

  const shown = new Promise<unknown[]>((resolve) =>
    connection.onNotification("show", (...params) => resolve(params))
  );
  peer.notify("show", ["text", 1]);
  assertEquals(await shown, ["text", 1]);
});

Deno.test("vscode-jsonrpc meets errors with code, message and data, and sends them", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection, peer } = editor;

  const taken = await assertRejects(
    () => connection.sendRequest("refuse"),
    ResponseError,
  );
  assertEquals(
    [taken.code, taken.message, taken.data],
    [409, "Name is taken", { name: "ann" }],
  );
  const failed = await assertRejects(
    () => connection.sendRequest("fail"),
    ResponseError,
  );
  assertEquals([failed.code, failed.message], [-32603, "Internal error"]);
  for (const method of ["nothing", "toString", "$/nothing"]) {
    const { code } = await assertRejects(
      () => connection.sendRequest(method),
      ResponseError,
    );
    assertEquals(code, -32601);
  }

  connection.onRequest("refuse", () => {
    throw new ResponseError(409, "Name is taken", { name: "bob" });
  });
  connection.onRequest("fail", () => {
    throw new Error("out of ideas");
  });
  const theirs = await assertRejects(() => peer.request("refuse"), RpcError);
  assertEquals(
    [theirs.code, theirs.message, theirs.data],
    [409, "Name is taken", { name: "bob" }],
  );
  const theirFailure = await assertRejects(
    () => peer.request("fail"),
    RpcError,
  );
  assertEquals(theirFailure.code, -32603);
  assertEquals(
    theirFailure.message,
    "Request fail failed with message: out of ideas",
  );
  const unknown = await assertRejects(() => peer.request("nothing"), RpcError);
  assertEquals(
    [unknown.code, unknown.message],
    [-32601, "Unhandled method nothing"],
  );
});

Deno.test("vscode-jsonrpc cancels by its token, and is cancelled by a signal", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection, peer } = editor;

  const source = new CancellationTokenSource();
  const build = connection.sendRequest("document/build", source.token);
  // Requests are taken in their order: when this one is answered, the build runs.
  await connection.sendRequest("files");
  source.cancel();
  const cancelled = await assertRejects(() => build, ResponseError);
  assertEquals(cancelled.code, -32800);
  assertEquals(await peer.isAborted.promise, true);

  const started = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  connection.onRequest("wait", (token: CancellationToken) => {
    started.resolve();
    return new Promise((_, reject) =>
      token.onCancellationRequested(() => {
        stopped.resolve();
        reject(new ResponseError(-32800, "Stopped"));
      })
    );
  });
  const controller = new AbortController();
  const waiting = peer.request("wait", undefined, {
    signal: controller.signal,
  });
  await started.promise;
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => waiting, Error, "changed my mind");
  await stopped.promise;
  assertEquals(await peer.request("ask", ["And now?"]), "And now? Fine!");
});

Deno.test("vscode-jsonrpc takes progress by the token it sent, and gives it", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection, peer } = editor;
  const type = new ProgressType<string>();

  const heard: string[] = [];
  connection.onProgress(type, "t1", (value) => heard.push(value));
  const verdict = await connection.sendRequest("document/lint", {
    workDoneToken: "t1",
  });
  assertEquals([...heard, verdict], ["parse", "check", "clean"]);

  connection.onRequest("index", async ({ token }: { token: string }) => {
    await connection.sendProgress(type, token, "half");
    return "done";
  });
  await using progress = notifications<{ token: string; value: string }>(
    peer,
    "$/progress",
  );
  assertEquals(await peer.request("index", { token: "t2" }), "done");
  assertEquals(await progress.next(), {
    value: { token: "t2", value: "half" },
    done: false,
  });
});

Deno.test("vscode-jsonrpc never answers a batch", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { peer, complaints } = editor;

  const [answer] = peer.batch(() => [
    peer.request("ask", ["Both?"], { timeout: 50 }),
  ]);
  const error = await assertRejects(() => answer!, DOMException);
  assertEquals(error.name, "TimeoutError");
  assertEquals(complaints.length, 1);
});

Deno.test("vscode-jsonrpc learns that the server shuts down", async () => {
  await using server = serveCompiler();
  await using editor = await open(server);
  const { connection } = editor;

  const closed = new Promise<void>((resolve) => connection.onClose(resolve));
  await server.shutdown();
  await closed;
});

function serveCompiler(): Server<Compiler> {
  return serve(Compiler, { hostname: "127.0.0.1", port: 0, onListen() {} });
}

interface OpenEditor extends AsyncDisposable {
  readonly connection: MessageConnection;
  /** The other end of the connection. */
  readonly peer: Compiler;
  /** What vscode-jsonrpc could not make sense of. */
  readonly complaints: string[];
}

async function open(server: Server<Compiler>): Promise<OpenEditor> {
  const webSocket = new WebSocket(server.url);
  const complaints: string[] = [];
  const logger = {
    error: (message: string) => void complaints.push(message),
    warn() {},
    info() {},
    log() {},
  };
  const connection = await new Promise<MessageConnection>((onConnection) =>
    listen({ webSocket, logger, onConnection })
  );
  connection.onRequest("ask", (question: string) => `${question} Fine!`);
  connection.listen();
  await connection.sendRequest("files");
  const [peer] = server.peers;
  return {
    connection,
    peer: peer!,
    complaints,
    async [Symbol.asyncDispose]() {
      connection.dispose();
      webSocket.close();
      await peer!.closed;
    },
  };
}
