/**
 * Shows the state of a page's connection in the header; and when it has ended for
 * good, the reason, beside the button that begins anew.
 */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { ConnectionStatus, ConnectionStore } from "../mod.ts";
import { element } from "./element.ts";

const line = element("status", HTMLElement);
const closed = element("closed", HTMLElement);
const reason = element("reason", HTMLElement);

/** The button that begins anew; its action is the page's own. */
export const reconnect: HTMLButtonElement = element(
  "reconnect",
  HTMLButtonElement,
);

const texts = {
  connecting: "Connecting…",
  connected: "Connected",
  lost: "Reconnecting…",
  closed: "Disconnected",
} as const;

/** The last status that was shown. */
let known: ConnectionStatus | undefined;

function show(status: ConnectionStatus): void {
  known = status;
  const { state, code, reason: said } = status;
  // The code of a lost connection or attempt stays until the next connection.
  const shown = state === "open"
    ? "connected"
    : state === "connecting" && code !== undefined
    ? "lost"
    : state;
  const text = state === "connecting" && !navigator.onLine
    ? "No network"
    : texts[shown];
  // A wait is told second by second; a screen reader shall say it once.
  if (line.textContent === text) return;
  line.textContent = text;
  line.dataset.state = shown;
  closed.hidden = shown !== "closed";
  reason.textContent = said
    ? `The connection was closed: ${said}.`
    : `The connection was closed with code ${code}.`;
}

for (const type of ["online", "offline"]) {
  addEventListener(type, () => known && show(known));
}

/** Shows the connection of a client from now on, and its next ones. */
export function showConnection(
  { connection }: { readonly connection: ConnectionStore },
): void {
  connection.subscribe(show);
}
