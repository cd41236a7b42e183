/** The page's side of the authorization: signs in, in one of three ways. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { RpcError } from "../../mod.ts";
import { element } from "../element.ts";
import { reconnect, showConnection } from "../status.ts";
import type { Board } from "./board.ts";

/** The server's methods at /call, whose board is a small one. */
interface Lobby {
  signIn(name: string, password: string): void;
  whoami(): string | null;
  clear(): string;
}

const signInForm = element("sign-in", HTMLFormElement);
const password = element("password", HTMLInputElement);
const ways = element("ways", HTMLFieldSetElement);
const wayShown = element("way", HTMLElement);
const signInError = element("sign-in-error", HTMLElement);
const enter = element("enter", HTMLButtonElement);
const board = element("board", HTMLElement);
const who = element("who", HTMLElement);
const how = element("how", HTMLElement);
const notes = element("notes", HTMLOListElement);
const postForm = element("post", HTMLFormElement);
const note = element("note", HTMLInputElement);
const boardError = element("board-error", HTMLElement);
const clear = element("clear", HTMLButtonElement);
const leave = element("leave", HTMLButtonElement);

const labels = { cookie: "cookie", ticket: "ticket", call: "first call" };

const about = {
  cookie:
    "A POST with the name and the password sets a cookie that no script can read; the browser sends it along with the WebSocket's handshake.",
  ticket:
    "Who has the cookie is given a ticket, good once and for 30 seconds, which the page offers among the subprotocols. Each connection buys one.",
  call:
    "The connection is nobody's at first. Its first call has the name and the password, and the others wait for it.",
};

type Way = keyof typeof about;

/** The form's values. */
interface Entry {
  readonly name: string;
  readonly password: string;
  readonly way: Way;
}

// ---------------------------------------------------------- The three ways

/** Connects by the cookie that a POST has set, or by a ticket each time. */
async function openBoard({ name, password, way }: Entry) {
  await post("/sign-in", { name, password });
  const peer = connect<Board["local"]>(new URL(`/${way}`, location.origin), {
    local: { changed: showNotes },
    ...way === "ticket" && {
      // A new ticket for each connection, since a ticket is good once.
      protocols: async () => ["board", `ticket.${await post("/buy")}`],
    },
    // A page learns the reason of a refusal by HTTP, but not from a handshake.
    onattempt: () => post("/buy").then(() => {}, forget),
  });
  return peer;
}

/** Connects as nobody, and says who it is by the first call. */
function openLobby({ name, password, way }: Entry) {
  const peer = connect<Lobby>(new URL(`/${way}`, location.origin), {
    // On each connection, before all calls that wait.
    async onopen(): Promise<void> {
      await peer.remote.signIn(name, password).catch(forget);
    },
    onattempt() {}, // The header shows it.
  });
  return peer;
}

/** Sends a form and returns the answer's text; a refusal is thrown. */
async function post(
  path: string,
  form?: { [name: string]: string },
): Promise<string> {
  const body = new URLSearchParams(form);
  const response = await fetch(path, { method: "POST", body });
  const text = await response.text();
  if (response.status === 401) throw new RpcError(401, text);
  return text;
}

// ------------------------------------------------------------ Who somebody is

const UNREACHABLE = "The server cannot be reached.";

let current: Awaited<ReturnType<typeof open>> | undefined;
let entered: Entry | undefined;

function open(entry: Entry) {
  return entry.way === "call" ? openLobby(entry) : openBoard(entry);
}

async function signIn(entry: Entry): Promise<void> {
  entered = entry;
  enter.disabled = true;
  signInError.textContent = "";
  boardError.textContent = "";
  try {
    current = await open(entry);
    who.textContent = await current.remote.whoami();
    showConnection(current);
    how.textContent = labels[entry.way];
    postForm.hidden = notes.hidden = entry.way === "call";
    signInForm.hidden = true;
    board.hidden = false;
    clear.focus();
  } catch (error) {
    askAgain(error instanceof RpcError ? error.message : UNREACHABLE);
  } finally {
    enter.disabled = false;
  }
}

/** Asks the user again if the server refused, but not if it can't be reached. */
function forget(error: unknown): void {
  if (error instanceof RpcError) askAgain(error.message);
}

function askAgain(complaint: string): void {
  current?.close(1000, complaint);
  current = undefined;
  board.hidden = true;
  signInForm.hidden = false;
  signInError.textContent ||= complaint;
  password.select();
}

function entry(): Entry {
  const form = new FormData(signInForm);
  return {
    name: String(form.get("name")),
    password: String(form.get("password")),
    way: String(form.get("way")) as Way,
  };
}

function explainWay(): void {
  wayShown.textContent = about[entry().way];
}

signInForm.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(entry());
});
ways.addEventListener("change", explainWay);
reconnect.addEventListener("click", () => entered && signIn(entered));
leave.addEventListener("click", () => location.reload());

// ------------------------------------------------------------------ The board

function showNotes(said: readonly string[]): void {
  notes.replaceChildren(...said.map((text) => {
    const row = document.createElement("li");
    row.textContent = text;
    return row;
  }));
}

/** Shows the error of a call that failed. */
async function show(call: Promise<unknown> | undefined): Promise<void> {
  boardError.textContent = "";
  try {
    await call;
  } catch (error) {
    boardError.textContent = error instanceof RpcError
      ? `The server refuses: ${error.message}`
      : UNREACHABLE;
  }
}

postForm.addEventListener("submit", (event) => {
  event.preventDefault();
  show(
    (current as Awaited<ReturnType<typeof openBoard>>).remote.post(note.value),
  );
  note.value = "";
});
clear.addEventListener("click", () => show(current?.remote.clear()));

explainWay();
