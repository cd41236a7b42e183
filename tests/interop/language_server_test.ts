/**
 * A client of TypeScript's language server, which vscode-ws-jsonrpc puts behind
 * a WebSocket: what an editor in a browser does.
 *
 * @see {@link https://microsoft.github.io/language-server-protocol/}
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { fileURLToPath, pathToFileURL } from "node:url";
import type {
  ApplyWorkspaceEditParams,
  CompletionList,
  ConfigurationParams,
  Diagnostic,
  Hover,
  InitializeResult,
  PublishDiagnosticsParams,
  RegistrationParams,
  WorkDoneProgressCreateParams,
} from "vscode-languageserver-protocol";
import { connect } from "../../client.ts";
import { type Events, notifications, type Peer, RpcError } from "../../mod.ts";
import { runExample } from "./example.ts";
import { start } from "./processes.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const text = `import { used, unused } from "./other";
const answer: number = "42";
console.log(used, answer);
answer.to
`;

Deno.test("A language server finds the error, tells what it knows, and leaves when told", async () => {
  await using project = await createProject();
  await using server = await startLanguageServer();
  const { url } = server;
  const { rootUri, uri } = project;
  const checked = Promise.withResolvers<Diagnostic[]>();

  // recipe: typescript-language-server
  await using peer = connect(url, {
    local: {
      "textDocument/publishDiagnostics": (it: PublishDiagnosticsParams) => {
        // It tells more than once: before it has looked there is no error.
        if (it.diagnostics.length > 0) checked.resolve(it.diagnostics);
      },
      // What it asks for. A method that returns nothing answers null.
      "workspace/configuration": ({ items }: ConfigurationParams) =>
        items.map(() => null),
      "window/workDoneProgress/create": () => {},
      "client/registerCapability": () => {},
      "client/unregisterCapability": () => {},
    },
    reconnect: false, // The next connection has another server.
  });
  const { capabilities } = await peer.request<InitializeResult>("initialize", {
    processId: null,
    rootUri,
    capabilities: {
      textDocument: { publishDiagnostics: {} },
      window: { workDoneProgress: true },
      workspace: { configuration: true },
    },
  });
  peer.notify("initialized", {});
  peer.notify("textDocument/didOpen", {
    textDocument: { uri, languageId: "typescript", version: 1, text },
  });
  const hover = await peer.request<Hover>("textDocument/hover", {
    textDocument: { uri },
    position: { line: 1, character: 6 },
  });
  const diagnostics = await checked.promise;

  await peer.request("shutdown");
  peer.notify("exit");
  await peer.closed;
  // end

  assertEquals(capabilities.hoverProvider, true);
  assertEquals(hover, {
    contents: {
      kind: "markdown",
      value: "\n```typescript\nconst answer: number\n```\n",
    },
    range: {
      start: { line: 1, character: 6 },
      end: { line: 1, character: 12 },
    },
  });
  const [{ code, message, range }] = diagnostics as [Diagnostic];
  assertEquals([code, message], [
    2322,
    "Type 'string' is not assignable to type 'number'.",
  ]);
  assertEquals(range.start, { line: 1, character: 6 });
  // Its process ended, and vscode-ws-jsonrpc closed the socket without a code.
  assertEquals((await peer.closed).code, 1005);
});

Deno.test("A language server asks its client back, and waits for the answer", async () => {
  await using project = await createProject();
  await using server = await startLanguageServer();
  await using editor = await edit(server.url, project);
  const { peer, asked, progress } = editor;

  await peer.request<Hover>("textDocument/hover", at(project, 1, 6));
  assertEquals(asked.configuration[0], {
    items: [{ scopeUri: project.uri, section: "formattingOptions" }],
  });
  const [{ token }] = asked.progress as [WorkDoneProgressCreateParams];
  const kinds: string[] = [];
  for await (const it of progress) {
    if (it.token === token) kinds.push(it.value.kind);
    if (it.value.kind === "end") break;
  }
  assertEquals(kinds, ["begin", "end"]);
  const [{ registrations }] = asked.registrations as [RegistrationParams];
  assertEquals(registrations[0]!.method, "workspace/didChangeWatchedFiles");

  // While this call of ours runs, it calls us.
  const done = await peer.request("workspace/executeCommand", {
    command: "_typescript.organizeImports",
    arguments: [fileURLToPath(project.uri)],
  });
  assertEquals(done, null);
  const [{ edit: { changes } }] = asked.edits as [ApplyWorkspaceEditParams];
  assertEquals(
    changes![project.uri]!.map((change) => change.newText),
    ['import { used } from "./other";\n'],
  );
});

Deno.test("A language server completes, and refuses what it doesn't know", async () => {
  await using project = await createProject();
  await using server = await startLanguageServer();
  await using editor = await edit(server.url, project);
  const { peer } = editor;

  const { items } = await peer.request<CompletionList>(
    "textDocument/completion",
    at(project, 3, 9),
  );
  assert(items.some((item) => item.label === "toFixed"));

  const unknown = await assertRejects(
    () => peer.request("textDocument/bake", {}),
    RpcError,
  );
  assertEquals(unknown.code, -32601);
  assertEquals(unknown.message, "Unhandled method textDocument/bake");

  const failed = await assertRejects(
    () => peer.request("textDocument/hover", {}),
    RpcError,
  );
  assertEquals(failed.code, -32603);

  // The remote's params are by position, and all of this protocol's by name.
  const byPosition = await assertRejects(
    () => peer.remote["textDocument/hover"]!(at(project, 1, 6)),
    RpcError,
  );
  assertEquals(byPosition.code, -32602);
});

Deno.test("A language server is told of a call that nobody waits for any more", async () => {
  await using project = await createProject();
  await using server = await startLanguageServer();
  await using editor = await edit(server.url, project);
  const { peer, progress } = editor;

  const frames: { result?: { items?: unknown[] } }[] = [];
  peer.ws!.addEventListener("message", ({ data }) => {
    frames.push(JSON.parse(data as string));
  });
  const controller = new AbortController();
  const completing = peer.request(
    "textDocument/completion",
    at(project, 3, 9),
    { signal: controller.signal },
  );
  // It has taken the call when it begins to load the project, and can't answer
  // before it has. A call that it has not taken yet, it would not cancel.
  for await (const { value } of progress) if (value.kind === "begin") break;
  controller.abort(new Error("typed on"));
  await assertRejects(() => completing, Error, "typed on");

  // It answers that call all the same, with nothing, since it gave up.
  const hover = await peer.request<Hover>(
    "textDocument/hover",
    at(project, 1, 6),
  );
  assertEquals(hover.range!.start, { line: 1, character: 6 });
  const late = frames.find((frame) => frame.result?.items !== undefined);
  assertEquals(late?.result?.items, []);
  assertEquals(peer.unmatched, 1);
});

Deno.test("examples/language_server.ts prints what is wrong and what is known of it", async () => {
  await using project = await createProject();
  await using server = await startLanguageServer();
  const file = fileURLToPath(project.uri);
  const printed = await runExample(
    "examples/language_server.ts",
    server.url,
    file,
  );
  const [first] = printed.split("\n");
  assertEquals(
    first,
    `${file}:2:7 Type 'string' is not assignable to type 'number'.`,
  );
  assertStringIncludes(printed, "\nconst answer: number\n");
});

interface Project extends AsyncDisposable {
  readonly rootUri: string;
  readonly uri: string;
}

/** A folder with a file in it that has an error. */
async function createProject(): Promise<Project> {
  const folder = await temporaryFolder("project_");
  const write = (name: string, content: string) =>
    Deno.writeTextFile(`${folder.path}/${name}`, content);
  await write("main.ts", text);
  await write("other.ts", "export const used = 1, unused = 2;\n");
  // Few libraries: each is a file that the server asks its client to watch.
  const compilerOptions = { strict: true, lib: ["es5", "dom"], types: [] };
  await write("tsconfig.json", JSON.stringify({ compilerOptions }));
  return {
    rootUri: pathToFileURL(folder.path).href,
    uri: pathToFileURL(`${folder.path}/main.ts`).href,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function at({ uri }: Project, line: number, character: number): object {
  return { textDocument: { uri }, position: { line, character } };
}

/** A process of its own, as a user of vscode-ws-jsonrpc runs it. */
async function startLanguageServer(): Promise<
  { url: string } & AsyncDisposable
> {
  const folder = await temporaryFolder("language_server_");
  const program = await start(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-env",
      "--allow-net=127.0.0.1",
      "--allow-read",
      "--allow-run",
      "--allow-sys",
      "tests/interop/language_server.ts",
    ],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { TMPDIR: folder.path }, // What it leaves behind is removed with it.
  });
  // The first time of all it fetches what it runs.
  const line = await program.line("Language server at ", 60_000);
  return {
    url: line.replace("Language server at ", ""),
    async [Symbol.asyncDispose]() {
      await program.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

interface Progress {
  readonly token: string | number;
  readonly value: { readonly kind: "begin" | "report" | "end" };
}

interface Editor extends AsyncDisposable {
  readonly peer: Peer;
  /** How far the server is with what it does of its own accord. */
  readonly progress: Events<Progress>;
  /** What the server asked for, in order. */
  readonly asked: {
    readonly configuration: ConfigurationParams[];
    readonly progress: WorkDoneProgressCreateParams[];
    readonly registrations: RegistrationParams[];
    readonly edits: ApplyWorkspaceEditParams[];
  };
}

/** Connects, and opens the project's file. */
async function edit(url: string, project: Project): Promise<Editor> {
  const asked: Editor["asked"] = {
    configuration: [],
    progress: [],
    registrations: [],
    edits: [],
  };
  const peer = connect(url, {
    local: {
      "workspace/configuration": (params: ConfigurationParams) => {
        asked.configuration.push(params);
        return params.items.map(() => null);
      },
      "workspace/applyEdit": (params: ApplyWorkspaceEditParams) => {
        asked.edits.push(params);
        return { applied: true };
      },
      "window/workDoneProgress/create": (it: WorkDoneProgressCreateParams) =>
        void asked.progress.push(it),
      "client/registerCapability": (params: RegistrationParams) =>
        void asked.registrations.push(params),
      "client/unregisterCapability": () => {},
    },
    reconnect: false, // The next connection has another server.
  });
  const progress: Editor["progress"] = notifications(peer, "$/progress");
  await peer.request("initialize", {
    processId: null,
    rootUri: project.rootUri,
    capabilities: {
      textDocument: { publishDiagnostics: {} },
      window: { workDoneProgress: true },
      workspace: {
        applyEdit: true,
        configuration: true,
        didChangeWatchedFiles: {
          dynamicRegistration: true,
          relativePatternSupport: true,
        },
      },
    },
    initializationOptions: { tsserver: { useClientFileWatcher: true } },
  });
  peer.notify("initialized", {});
  peer.notify("textDocument/didOpen", {
    textDocument: {
      uri: project.uri,
      languageId: "typescript",
      version: 1,
      text,
    },
  });
  return {
    peer,
    progress,
    asked,
    async [Symbol.asyncDispose]() {
      await progress.return();
      await peer.request("shutdown");
      peer.notify("exit");
      await peer.closed;
    },
  };
}
