/** The imports of a page from vscode-jsonrpc, to call and be called. */

export { listen } from "vscode-ws-jsonrpc";
