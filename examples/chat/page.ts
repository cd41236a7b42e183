/** The page's side of the chat: its view, and its methods for the server. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { element } from "../element.ts";
import { reconnect, showConnection } from "../status.ts";
import type { Chat, Message, People } from "./chat.ts";

const rename = element("rename", HTMLButtonElement);
const ownName = element("own-name", HTMLElement);
const memberList = element("members", HTMLUListElement);
const count = element("count", HTMLElement);
const log = element("log", HTMLElement);
const empty = element("empty", HTMLElement);
const hint = element("hint", HTMLElement);
const messages = element("messages", HTMLOListElement);
const unsentList = element("unsent", HTMLOListElement);
const newer = element("newer", HTMLButtonElement);
const sayForm = element("say-form", HTMLFormElement);
const text = element("text", HTMLTextAreaElement);
const sayError = element("say-error", HTMLElement);
const nameDialog = element("name-dialog", HTMLDialogElement);
const nameForm = element("name-form", HTMLFormElement);
const nameTitle = element("name-title", HTMLElement);
const usernameInput = element("username", HTMLInputElement);
const nameError = element("name-error", HTMLElement);
const cancel = element("cancel", HTMLButtonElement);
const joinButton = element("join", HTMLButtonElement);

// ----------------------------------------------------------- The connection

const address = new URL(location.pathname, location.origin);

/** Undefined until there is a name to come with. */
let chat: ReturnType<typeof open> | undefined;

/** The secret by which the server knows this page's next connections. */
const key = randomId();

/** Settles when the messages that this connection missed are shown. */
let caughtUp: Promise<void>;

/** The position of the last message, if several servers keep the messages. */
let position: string | undefined;

/** Connects for as long as this page lives, or until the server has enough. */
function open() {
  const peer = connect<Chat["local"]>(address, {
    local: {
      joinpart() {
        // If the connection is lost meanwhile, the next one asks again.
        peer.remote.people().then(showMembers, () => {});
      },
      message(...message: Message) {
        position = peer.call.members.position as string | undefined;
        caughtUp.then(() => showMessage(...message));
      },
      missed() {
        peer.remote.messages().then(showAll, () => {});
        tell("Something may have been said that did not come here");
      },
    },
    onopen() {
      caughtUp = peer.remote.messages(position).then(showAll).catch(() => {});
      // The people may have changed meanwhile.
      people = undefined;
      if (username !== "") takeName(username).catch(complain);
    },
    onattempt() {}, // The header shows it.
  });
  showConnection(peer);
  return peer;
}

/** True if the server refused, false if it did not answer. */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === "RpcError";
}

/** The text of an error for a person: the server's own words, if it sent any. */
function explain(error: unknown): string {
  return isRefusal(error) ? error.message : "The chat cannot be reached.";
}

/** Begins, also anew after an end. */
function begin(): void {
  chat = open();
  for (const [id, { said }] of unsent) say(id, said);
}

reconnect.addEventListener("click", () => {
  text.focus(); // The button goes, and would take the focus with it.
  begin();
});

// ----------------------------------------------------------------- The name

/** Our name on the server. */
let username = recall("username");

/** Takes a name, on this connection or on the next; rejects if it is refused. */
async function takeName(wanted: string): Promise<void> {
  await chat!.with({ idempotent: true }).set_username(wanted, key);
  username = wanted;
  ownName.textContent = wanted;
  rename.hidden = false;
  remember("username", wanted);
}

/** Asks for another name if the one that we had is refused. */
function complain(error: unknown): void {
  if (!isRefusal(error)) return;
  username = "";
  askName(error.message);
}

function askName(complaint = ""): void {
  const joined = username !== "";
  nameTitle.textContent = joined ? "Change your name" : "Join the chat";
  joinButton.textContent = joined ? "Save" : "Join";
  cancel.hidden = !joined;
  nameError.textContent = complaint;
  usernameInput.value = username;
  if (!nameDialog.open) nameDialog.showModal();
  usernameInput.select();
}

nameForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  nameError.textContent = "";
  joinButton.disabled = true;
  if (chat === undefined || chat.state === "closed") begin();
  try {
    await takeName(usernameInput.value.trim());
    nameDialog.close();
    text.focus();
  } catch (error) {
    nameError.textContent = explain(error);
    usernameInput.focus();
  } finally {
    joinButton.disabled = false;
  }
});

rename.addEventListener("click", () => askName());
cancel.addEventListener("click", () => nameDialog.close());
nameDialog.addEventListener("cancel", (event) => {
  // Nobody is in the room without a name.
  if (username === "") event.preventDefault();
});

// --------------------------------------------------------------- The people

/** The people at the last look; undefined before the first one. */
let people: string[] | undefined;

function showMembers({ names, own, nodes }: People): void {
  const before = people;
  people = names;
  if (before && names.length > 0) tellChange(before, names);

  count.textContent = String(names.length);
  memberList.replaceChildren(...names.map((name, index) => {
    const member = document.createElement("li");
    member.className = "member";
    member.dataset.username = name;
    member.append(face(name), isolated(name));
    if (index === own) {
      member.dataset.you = "";
      member.append(span("you", "you"));
    }
    const node = nodes?.[index];
    if (node !== undefined) {
      const on = span("node", node);
      on.title = `Connected to the server ${node}`;
      member.append(on);
    }
    return member;
  }));
  hint.textContent = names.length === 1
    ? "Nobody else is here. Open this page in another tab, or send its address to somebody."
    : "Say hello.";
}

/** Tells in the log the people who came, left, or took another name. */
function tellChange(before: string[], after: string[]): void {
  const changed = after.filter((name, index) => name !== before[index]);
  if (before.length === after.length && changed.length === 1) {
    // The server keeps the order of coming, so a new name in an old place is the
    // same person. A person who has just come has no name yet.
    const old = before.find((name, index) => name !== after[index]);
    const [name = ""] = changed;
    if (old === undefined || old === "anon") tell(isolated(name), " joined");
    else tell(isolated(old), " is now ", isolated(name));
    return;
  }
  for (const name of without(before, after)) tell(isolated(name), " left");
  for (const name of without(after, before)) tell(isolated(name), " joined");
}

/** The names without the others, each taken away as often as it occurs. */
function without(names: string[], others: string[]): string[] {
  const rest = [...others];
  return names.filter((name) => {
    const index = rest.indexOf(name);
    if (index >= 0) rest.splice(index, 1);
    return index < 0 && name !== "anon";
  });
}

// -------------------------------------------------------------- The messages

/** Messages of one person within this time stand together, in ms. */
const TOGETHER = 5 * 60_000;

/** The number of rows that the page shows; older ones go. */
const ROWS = 1000;

/** The number of own messages known after a reload: more than the server keeps. */
const KEPT = 100;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});

/**
 * The ids of the messages that are shown. Some messages come twice, because the page
 * asks for missed ones and says again those that may not have arrived.
 */
const shown = new Set<string>();

/**
 * The ids of our own messages: a name does not tell them, since two people may have
 * the same.
 */
const ownIds = new Set(recall("said").match(/\S+/g));

/** Our own messages that have not come back yet. */
const unsent = new Map<string, { said: string; row: HTMLElement }>();

let last: { author: string; own: boolean; time: number } | undefined;
let unread = 0;

function showAll(all: Message[]): void {
  for (const message of all) showMessage(...message);
}

function showMessage(
  author: string,
  said: string,
  id?: string,
  time = Date.now(),
): void {
  if (id !== undefined && shown.has(id)) return;
  const own = id !== undefined && ownIds.has(id);
  const continued = last !== undefined && last.author === author &&
    last.own === own && time - last.time < TOGETHER;
  last = { author, own, time };

  const row = messageRow(author, said, own, shownTime(time));
  row.classList.toggle("continued", continued);
  if (own) forgetUnsent(id);
  append(row, own);
  if (id !== undefined) {
    shown.add(id);
    const [oldest] = shown;
    if (shown.size > ROWS) shown.delete(oldest!);
  }

  if (document.hidden) {
    unread += 1;
    document.title = `(${unread}) Chat`;
  }
}

function shownTime(time: number): HTMLElement {
  const made = document.createElement("time");
  made.dateTime = new Date(time).toISOString();
  made.textContent = clock.format(time);
  return made;
}

function messageRow(
  author: string,
  said: string,
  own: boolean,
  state: HTMLElement,
): HTMLElement {
  const row = document.createElement("li");
  row.className = "message";
  row.classList.toggle("own", own);
  row.dataset.author = author;
  row.style.setProperty("--hue", String(hue(author)));

  const name = isolated(own ? "You" : author);
  // A message on the right side needs a name only for screen readers.
  name.className = own ? "unseen" : "author";
  const head = span("head");
  head.append(name, state);
  const body = document.createElement("div");
  body.className = "text";
  body.dir = "auto";
  body.textContent = said;

  row.append(face(author), head, body);
  return row;
}

function tell(...news: (string | Node)[]): void {
  const row = document.createElement("li");
  row.className = "news";
  row.append(...news);
  last = undefined;
  append(row, false);
}

/** True if the newest row was in sight at the last look. */
let atEnd = true;

/** Adds a row, and follows it unless the reader is further up. */
function append(row: HTMLElement, follow: boolean, list = messages): void {
  lookAtEnd();
  empty.hidden = true;
  list.append(row);
  while (messages.childElementCount > ROWS) {
    messages.firstElementChild?.remove();
  }
  if (atEnd || follow) scrollToEnd();
  else newer.hidden = false;
}

/** The height of all rows at the last scrolling to their end. */
let height = 0;

function scrollToEnd(): void {
  height = log.scrollHeight;
  log.scrollTop = height;
}

function lookAtEnd(): void {
  atEnd = log.scrollHeight - log.clientHeight - log.scrollTop < 40;
}

log.addEventListener("scroll", () => {
  // The reader has not moved: lines that break anew have moved the end.
  if (atEnd && log.scrollHeight > height) return scrollToEnd();
  lookAtEnd();
  if (atEnd) newer.hidden = true;
});
// The keyboard of a phone comes and goes, the form grows with its text, and a narrower
// page has more lines.
const resizes = new ResizeObserver(() => {
  if (atEnd) scrollToEnd();
});
resizes.observe(log);
resizes.observe(messages);

newer.addEventListener("click", () => {
  scrollToEnd();
  text.focus();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = "Chat";
});

sayForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (said === "") return;
  sayError.textContent = "";
  text.value = "";
  const id = randomId();
  const row = messageRow(username, said, true, span("state", "Waiting…"));
  unsent.set(id, { said, row });
  ownIds.add(id);
  remember("said", [...ownIds].slice(-KEPT).join(" "));
  append(row, true, unsentList);
  say(id, said);
});

/** Says something as soon as there is a connection. */
async function say(id: string, said: string): Promise<void> {
  try {
    await chat!.with({ idempotent: true, timeout: Infinity }).say(said, id);
    // The server's own may be missing, if very much was said meanwhile.
    showMessage(username, said, id);
  } catch (error) {
    // It waits for the button "Reconnect".
    if (chat!.state === "closed") return;
    forgetUnsent(id);
    sayError.textContent = explain(error);
    // A text begun meanwhile is kept, too.
    text.value = [said, text.value].filter((it) => it !== "").join("\n");
  }
}

function forgetUnsent(id: string): void {
  unsent.get(id)?.row.remove();
  unsent.delete(id);
}

text.addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sayForm.requestSubmit();
});

// --------------------------------------------------------------- The pieces

/** A new id that nobody else has or can guess. */
function randomId(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (number) => number.toString(36)).join("-");
}

function span(className: string, content = ""): HTMLElement {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = content;
  return made;
}

/** A name that cannot turn the direction of the text around it. */
function isolated(name: string): HTMLElement {
  const made = document.createElement("bdi");
  made.textContent = name;
  made.title = name; // For places without room for all of it.
  return made;
}

/** The value that this tab remembers since before a reload; `""` if none. */
function recall(what: string): string {
  try {
    return sessionStorage.getItem(what) ?? "";
  } catch {
    return ""; // Storage may be forbidden.
  }
}

/** For the session, that is for this tab: two tabs are two people. */
function remember(what: string, value: string): void {
  try {
    sessionStorage.setItem(what, value);
  } catch {
    // Then the name is asked for each time.
  }
}

const segmenter = new Intl.Segmenter();

/** The first letter of a name in the colour of that name. */
function face(name: string): HTMLElement {
  const [first] = segmenter.segment(name);
  const made = span("face", first?.segment.toUpperCase());
  made.ariaHidden = "true";
  made.style.setProperty("--hue", String(hue(name)));
  return made;
}

/** An angle of the colour circle that is always the same for a name. */
function hue(name: string): number {
  let sum = 0;
  for (const letter of name) {
    sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 1000;
  }
  // Steps of the golden angle keep neighbouring sums apart.
  return Math.round(sum * 137.5) % 360;
}

// ---------------------------------------------------------------- The start

if (username === "") askName();
else begin();
