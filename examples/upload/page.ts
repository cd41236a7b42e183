/** The page's side of the upload: passes files as streams of chunks. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { streams } from "../../src/stream.ts";
import { element } from "../element.ts";
import type { Progress, Receipt, Upload } from "./upload.ts";

const status = element("status", HTMLElement);
const lost = element("lost", HTMLElement);
const reconnect = element("reconnect", HTMLButtonElement);
const drop = element("drop", HTMLElement);
const files = element("files", HTMLInputElement);
const uploads = element("uploads", HTMLOListElement);
const template = element("upload", HTMLTemplateElement);

// ------------------------------------------------------------ The connection

const address = new URL(location.pathname, location.origin);

let server = open();

function open() {
  showState("connecting", "Connecting…");
  const peer = connect<Upload["local"]>(address, {
    local: { stopped: showStop },
    onopen: () => showState("connected", "Connected"),
    onclose() {
      if (peer === server) showState("disconnected", "Disconnected");
    },
  }, { use: [streams] });
  return peer;
}

function showState(state: string, text: string): void {
  status.dataset.state = state;
  status.textContent = text;
  files.disabled = state !== "connected";
  lost.hidden = state !== "disconnected";
}

reconnect.addEventListener("click", () => {
  server.close();
  server = open();
});

// ---------------------------------------------------------------- The upload

/** Bytes of a chunk, in base64 a third more: far below the longest message. */
const CHUNK_SIZE = 49_152;

/** A file in chunks, each read when the server asks for it. */
async function* chunksOf(file: File): AsyncGenerator<string> {
  for (let start = 0; start < file.size; start += CHUNK_SIZE) {
    const chunk = file.slice(start, start + CHUNK_SIZE);
    const bytes = new Uint8Array(await chunk.arrayBuffer());
    yield btoa(String.fromCharCode(...bytes));
  }
}

async function upload(file: File): Promise<void> {
  const row = new Row(file);
  const controller = new AbortController();
  const { signal } = controller;
  row.cancel.addEventListener("click", () => {
    controller.abort();
    files.focus(); // The button is gone, and would take the focus with it.
  });
  const remote = server.with({
    signal,
    timeout: 0, // A file may take longer than calls usually do.
    onprogress: (value) => row.showProgress(value as Progress),
  });
  try {
    const receipt = await remote.upload(file.name, file.size, chunksOf(file));
    row.showReceipt(receipt);
    if (await sha256Of(file) === receipt.sha256) row.showMatch();
  } catch (error) {
    if (signal.aborted) row.showCancel();
    else row.showFailure(error);
  }
}

/** The server's own word, which comes after a cancel. */
function showStop(name: string, received: number): void {
  rows.find((row) => row.isCancelled && row.name === name)?.showStop(received);
}

/** What the server should have found; undefined where a page can't tell. */
async function sha256Of(file: File): Promise<string | undefined> {
  if (!isSecureContext) return undefined;
  const data = await file.arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

files.addEventListener("change", () => {
  for (const file of files.files ?? []) upload(file);
  // So that the same one can be chosen again.
  files.value = "";
});

// The control takes drops itself; this only shows where.
for (const type of ["dragenter", "dragover"]) {
  drop.addEventListener(type, () => drop.dataset.over = "");
}
for (const type of ["dragleave", "drop"]) {
  drop.addEventListener(type, () => delete drop.dataset.over);
}

// ------------------------------------------------------------------ The rows

const number = new Intl.NumberFormat();

/** The uploads that the server is reading, as far as is known, oldest first. */
let rows: Row[] = [];

/** One upload, as a person sees it. */
class Row {
  readonly name: string;
  readonly cancel: HTMLButtonElement;
  isCancelled = false;
  readonly #size: string;
  readonly #element: HTMLElement;
  readonly #progress: HTMLProgressElement;
  readonly #sizes: HTMLElement;
  readonly #state: HTMLElement;
  readonly #sha256: HTMLElement;

  constructor({ name, size }: File) {
    const content = template.content.cloneNode(true) as DocumentFragment;
    const find = <T extends HTMLElement>(selector: string): T =>
      content.querySelector<T>(selector)!;
    this.name = name;
    this.cancel = find(".cancel");
    this.#size = `${number.format(size)} bytes`;
    this.#element = find("li");
    this.#progress = find("progress");
    this.#sizes = find(".size");
    this.#state = find(".state");
    this.#sha256 = find(".sha256");
    find(".name").textContent = name;
    this.#sizes.textContent = this.#size;
    this.cancel.ariaLabel = `Cancel ${name}`;
    this.#progress.ariaLabel = `Progress of ${name}`;
    this.#progress.max = Math.max(1, size);
    this.#show("running", "Sending");
    uploads.prepend(content);
    rows.push(this);
  }

  showProgress({ received }: Progress): void {
    this.#progress.value = received;
    this.#sizes.textContent = `${number.format(received)} of ${this.#size}`;
  }

  showReceipt({ received, sha256 }: Receipt): void {
    this.showProgress({ received });
    this.#progress.value = this.#progress.max; // Of an empty file, too.
    this.#show("done", "Received");
    this.#sha256.textContent = sha256;
    this.#forget();
  }

  /** What arrived is what is here. */
  showMatch(): void {
    this.#state.textContent += ", the SHA-256 is that of the file here";
  }

  showCancel(): void {
    this.isCancelled = true;
    this.#show("cancelled", "Cancelled");
  }

  showFailure(error: unknown): void {
    this.#show("failed", error instanceof Error ? error.message : `${error}`);
    this.#forget();
  }

  showStop(received: number): void {
    this.showProgress({ received });
    this.#show("cancelled", "Cancelled: the server has stopped reading");
    this.#forget();
  }

  #show(state: string, text: string): void {
    this.#element.dataset.state = state;
    this.#state.textContent = text;
    this.cancel.hidden = state !== "running";
  }

  #forget(): void {
    rows = rows.filter((row) => row !== this);
  }
}
