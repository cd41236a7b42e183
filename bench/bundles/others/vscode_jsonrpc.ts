/** What a page imports of vscode-jsonrpc to call and be called. */

export { listen } from "vscode-ws-jsonrpc";
