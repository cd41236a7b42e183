/** The page's side of the upload: passes files as streams of chunks. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { ConnectionClosedError } from "../../mod.ts";
import { element } from "../element.ts";
import { reconnect, showConnection } from "../status.ts";
import type { Progress, Receipt, Upload } from "./upload.ts";

const drop = element("drop", HTMLElement);
const files = element("files", HTMLInputElement);
const uploads = element("uploads", HTMLOListElement);
const template = element("upload", HTMLTemplateElement);

// ------------------------------------------------------------ The connection

const address = new URL(location.pathname, location.origin);

let server = open();

function open() {
  const peer = connect<Upload["local"]>(address, {
    local: { stopped: showStop },
    onopen() {
      for (const row of rows) row.showStart();
    },
    onclose() {
      // The server can't say any more where it stopped reading them.
      rows = rows.filter((row) => !row.isCancelled);
    },
    onattempt() {}, // The header shows it.
  });
  showConnection(peer);
  return peer;
}

reconnect.addEventListener("click", () => {
  files.focus(); // The button goes, and would take the focus with it.
  server = open();
});

// ---------------------------------------------------------------- The upload

/** Bytes of a chunk; base64 adds a third: far below the longest message. */
const CHUNK_SIZE = 49_152;

/** A file in chunks, each read when the server asks for it. */
async function* chunksOf(file: File): AsyncGenerator<string> {
  for (let start = 0; start < file.size; start += CHUNK_SIZE) {
    const chunk = file.slice(start, start + CHUNK_SIZE);
    const bytes = new Uint8Array(await chunk.arrayBuffer());
    yield btoa(String.fromCharCode(...bytes));
  }
}

async function upload(file: File, row: Row): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const cancel = () => {
    controller.abort();
    files.focus(); // The button is gone, and would take the focus with it.
  };
  row.cancel.addEventListener("click", cancel, { once: true });
  row.begin();
  const remote = server.with({
    signal,
    onprogress: (value) => row.showProgress(value as Progress),
  });
  try {
    const receipt = await remote.upload(file.name, file.size, chunksOf(file));
    row.showReceipt(receipt);
    if (await sha256Of(file) === receipt.sha256) row.showMatch();
  } catch (error) {
    if (signal.aborted) row.showCancel();
    else if (error instanceof ConnectionClosedError) row.showLoss();
    else row.showFailure(error);
  } finally {
    row.cancel.removeEventListener("click", cancel);
  }
}

/** Shows the server's answer to a cancel. */
function showStop(name: string, received: number): void {
  rows.find((row) => row.isCancelled && row.name === name)?.showStop(received);
}

/** The SHA-256 that the server should find; undefined if the page can't compute it. */
async function sha256Of(file: File): Promise<string | undefined> {
  if (!isSecureContext) return undefined;
  const data = await file.arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

files.disabled = false;
files.addEventListener("change", () => {
  for (const file of files.files ?? []) {
    const row = new Row(file);
    row.again.addEventListener("click", () => {
      upload(file, row);
      row.cancel.focus(); // It stands where this button was.
    });
    upload(file, row);
  }
  // Emptied, so that the same file can be chosen again.
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

/**
 * The uploads that the server is reading, as far as the page knows, or that wait
 * for it, oldest first.
 */
let rows: Row[] = [];

/** One upload, as a person sees it. */
class Row {
  readonly name: string;
  readonly cancel: HTMLButtonElement;
  readonly again: HTMLButtonElement;
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
    this.again = find(".again");
    this.#size = `${number.format(size)} bytes`;
    this.#element = find("li");
    this.#progress = find("progress");
    this.#sizes = find(".size");
    this.#state = find(".state");
    this.#sha256 = find(".sha256");
    find(".name").textContent = name;
    this.cancel.ariaLabel = `Cancel ${name}`;
    this.again.ariaLabel = `Send ${name} again`;
    this.#progress.ariaLabel = `Progress of ${name}`;
    this.#progress.max = Math.max(1, size);
    uploads.prepend(content);
  }

  /** The upload begins, or begins anew: the server has forgotten the bytes it had. */
  begin(): void {
    this.#progress.value = 0;
    this.#sizes.textContent = this.#size;
    if (server.state === "open") this.showStart();
    else this.#show("running", "Waiting for the connection");
    rows.push(this);
  }

  showStart(): void {
    this.#show("running", "Sending");
  }

  showProgress({ received }: Progress): void {
    this.#progress.value = received;
    this.#sizes.textContent = `${number.format(received)} of ${this.#size}`;
  }

  showReceipt({ received, sha256 }: Receipt): void {
    this.showProgress({ received });
    this.#progress.value = this.#progress.max; // Full for an empty file, too.
    this.#show("done", "Received");
    this.#sha256.textContent = sha256;
    this.#forget();
  }

  /** The file arrived unchanged. */
  showMatch(): void {
    this.#state.textContent += ", the SHA-256 is that of the file here";
  }

  showCancel(): void {
    this.isCancelled = true;
    this.#show("cancelled", "Cancelled");
    // Without a connection the server can't say where it stopped reading.
    if (server.state !== "open") this.#forget();
  }

  showFailure(error: unknown): void {
    this.#show("failed", error instanceof Error ? error.message : `${error}`);
    this.#forget();
  }

  showLoss(): void {
    this.#show("lost", "The connection was lost before the end");
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
    this.again.hidden = state !== "lost";
  }

  #forget(): void {
    rows = rows.filter((row) => row !== this);
  }
}
