// deno run --allow-net --allow-read examples/language_server.ts ws://localhost:3000 main.ts
// Asks a language server behind a WebSocket for the errors in a file, and for its
// knowledge of the place of the first one.
import { notifications } from "@jsonrpcws/peer";
import { connect } from "@jsonrpcws/peer/client";
import { basename, dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type {
  ConfigurationParams,
  Hover,
  PublishDiagnosticsParams,
} from "vscode-languageserver-protocol";

const [url, file] = Deno.args;
if (url === undefined || file === undefined) {
  console.error("Tell the server's address and the file's name");
  Deno.exit(1);
}
const path = resolve(file);
const uri = pathToFileURL(path).href;
const rootUri = pathToFileURL(dirname(path)).href;
const languages = new Map([
  ["js", "javascript"],
  ["py", "python"],
  ["rs", "rust"],
  ["ts", "typescript"],
]);
const extension = path.slice(path.lastIndexOf(".") + 1);

await using server = connect(url, {
  local: { // The server's calls: it asks for our settings, and registers more.
    "workspace/configuration": ({ items }: ConfigurationParams) =>
      items.map(() => null),
    "client/registerCapability": () => {},
    "window/workDoneProgress/create": () => {},
  },
  reconnect: false, // Each connection has a server of its own.
});
await using published = notifications<PublishDiagnosticsParams>(
  server,
  "textDocument/publishDiagnostics",
);
await server.request("initialize", {
  processId: null,
  rootUri,
  workspaceFolders: [{ uri: rootUri, name: basename(dirname(path)) }],
  capabilities: {
    textDocument: { publishDiagnostics: {}, hover: {} },
    workspace: { configuration: true },
  },
});
server.notify("initialized", {});
server.notify("textDocument/didOpen", {
  textDocument: {
    uri,
    languageId: languages.get(extension) ?? extension,
    version: 1,
    text: await Deno.readTextFile(path),
  },
});

// An empty list may come before the server has looked, so it gets ten seconds.
const patience = setTimeout(() => published.return(), 10_000);
let position = { line: 0, character: 0 };
for await (const { uri: of, diagnostics: [first, ...rest] } of published) {
  if (of !== uri || first === undefined) continue;
  position = first.range.start;
  for (const { range: { start }, message } of [first, ...rest]) {
    console.log(`${file}:${start.line + 1}:${start.character + 1} ${message}`);
  }
  break;
}
clearTimeout(patience);

const hover = await server.request<Hover | null>("textDocument/hover", {
  textDocument: { uri },
  position,
});
console.log(hover === null ? "Nothing is known" : toText(hover.contents));

await server.request("shutdown");
server.notify("exit");
await server.closed;

/** The text of a hover, in any of the forms that servers send. */
function toText(contents: Hover["contents"]): string {
  if (typeof contents === "string") return contents;
  if (Array.isArray(contents)) return contents.map(toText).join("\n");
  return contents.value.trim();
}
