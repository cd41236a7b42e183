/**
 * Shows what a page's connection is doing, in the header; and when it has ended
 * for good, why, beside the button that begins anew.
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

/** The button that begins anew; what it does is the page's own. */
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

/** What is known of the connection that was shown last. */
let known: ConnectionStatus | undefined;

function show(status: ConnectionStatus): void {
  known = status;
  const { state, code, reason: said } = status;
  // How a connection ended, or an attempt, is known until there is another one.
  const shown = state === "open"
    ? "connected"
    : state === "connecting" && code !== undefined
    ? "lost"
    : state;
  const text = state === "connecting" && !navigator.onLine
    ? "No network"
    : texts[shown];
  // A wait is told second by second; who listens hears it once.
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

/** Shows the connection of a client from now on, also its next ones. */
export function showConnection(
  { connection }: { readonly connection: ConnectionStore },
): void {
  connection.subscribe(show);
}
