/**
 * Shows what a page's connection is doing, in the header; and when it has ended
 * for good, why, beside the button that begins anew.
 */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { CloseInfo } from "../mod.ts";
import { element } from "./element.ts";

const status = element("status", HTMLElement);
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
  lost: "Connection lost, trying again…",
  closed: "Disconnected",
} as const;

type State = keyof typeof texts;

let state: State | undefined;

function show(next: State): void {
  state = next;
  closed.hidden = state !== "closed";
  status.dataset.state = state;
  const isTrying = state === "connecting" || state === "lost";
  status.textContent = isTrying && !navigator.onLine
    ? "No network, waiting for it…"
    : texts[state];
}

for (const type of ["online", "offline"]) {
  addEventListener(type, () => state && show(state));
}

/** To be called with a connection that is being opened. */
export function showConnecting(): void {
  show("connecting");
}

/** To be called by `onopen`. */
export function showConnected(): void {
  show("connected");
}

/** To be called by `onclose`. */
export function showClose(info: CloseInfo): void {
  show(info.retryIn === undefined ? "closed" : "lost");
  reason.textContent = info.reason === ""
    ? `The connection was closed with code ${info.code}.`
    : `The connection was closed: ${info.reason}.`;
}
