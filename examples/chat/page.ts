/** The page's side of the chat: what it shows, and what the server may call. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { element } from "../element.ts";
import type { Chat } from "./chat.ts";

const status = element("status", HTMLElement);
const rename = element("rename", HTMLButtonElement);
const ownName = element("own-name", HTMLElement);
const memberList = element("members", HTMLUListElement);
const count = element("count", HTMLElement);
const log = element("log", HTMLElement);
const empty = element("empty", HTMLElement);
const hint = element("hint", HTMLElement);
const messages = element("messages", HTMLOListElement);
const newer = element("newer", HTMLButtonElement);
const lost = element("lost", HTMLElement);
const lostText = element("lost-text", HTMLElement);
const reconnect = element("reconnect", HTMLButtonElement);
const sayForm = element("say-form", HTMLFormElement);
const text = element("text", HTMLTextAreaElement);
const send = element("send", HTMLButtonElement);
const sayError = element("say-error", HTMLElement);
const nameDialog = element("name-dialog", HTMLDialogElement);
const nameForm = element("name-form", HTMLFormElement);
const nameTitle = element("name-title", HTMLElement);
const usernameInput = element("username", HTMLInputElement);
const nameError = element("name-error", HTMLElement);
const cancel = element("cancel", HTMLButtonElement);
const joinButton = element("join", HTMLButtonElement);

// ----------------------------------------------------------- The connection

type State = "connecting" | "connected" | "disconnected";

const address = new URL(location.pathname, location.origin);

let chat: ReturnType<typeof connect<Chat["local"]>> | undefined;

/** The name that the server knows us by. */
let username = "";

/** Connects anew and takes a name; rejects if either is refused. */
async function join(wanted: string): Promise<void> {
  showState("connecting");
  chat?.close();
  const peer = connect<Chat["local"]>(address, {
    local: {
      joinpart() {
        // If the connection is lost meanwhile, onclose tells.
        peer.remote.clients().then(showMembers, () => {});
      },
      message: showMessage,
    },
    onclose() {
      if (peer === chat) showState("disconnected");
    },
  });
  chat = peer;
  people = undefined;
  unechoed.length = 0;
  try {
    await peer.remote.set_username(wanted);
  } catch (error) {
    peer.close();
    if (peer === chat) {
      chat = undefined;
      showState("disconnected");
    }
    throw error;
  }
  takeName(wanted);
  showState("connected");
}

function takeName(taken: string): void {
  username = taken;
  ownName.textContent = taken;
  rename.hidden = false;
  try {
    // For the session, that is for this tab: two tabs are two people.
    sessionStorage.setItem("username", taken);
  } catch {
    // Storage may be forbidden: then the name is asked for each time.
  }
}

function rememberedName(): string {
  try {
    return sessionStorage.getItem("username") ?? "";
  } catch {
    return "";
  }
}

const stateTexts: { readonly [state in State]: string } = {
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Disconnected",
};

function showState(state: State): void {
  status.dataset.state = state;
  status.textContent = stateTexts[state];
  send.disabled = state !== "connected";
  lost.hidden = state !== "disconnected";
  lostText.textContent = "The connection is lost.";
  if (state === "disconnected") showMembers([]);
}

/** Whether the server said no, rather than nothing. */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === "RpcError";
}

/** What a person can make of an error: the server's own words, if it said any. */
function explain(error: unknown): string {
  return isRefusal(error) ? error.message : "The chat cannot be reached.";
}

/** Joins under a name that was given before. */
async function rejoin(): Promise<void> {
  try {
    await join(username || rememberedName());
  } catch (error) {
    lostText.textContent = explain(error);
    if (isRefusal(error)) askName(explain(error));
  }
}

reconnect.addEventListener("click", () => {
  text.focus();
  rejoin();
});

// ----------------------------------------------------------------- The name

function askName(complaint = ""): void {
  const joined = username !== "";
  nameTitle.textContent = joined ? "Change your name" : "Join the chat";
  joinButton.textContent = joined ? "Save" : "Join";
  cancel.hidden = !joined;
  nameError.textContent = complaint;
  usernameInput.value = username || rememberedName();
  nameDialog.showModal();
  usernameInput.select();
}

nameForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = usernameInput.value.trim();
  nameError.textContent = "";
  joinButton.disabled = true;
  try {
    if (status.dataset.state === "connected" && chat) {
      await chat.remote.set_username(wanted);
      takeName(wanted);
    } else {
      await join(wanted);
    }
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

/** Who was there at the last look; undefined before the first one. */
let people: string[] | undefined;

function showMembers(names: string[]): void {
  const before = people;
  people = names;
  if (before && names.length > 0) tellChange(before, names);

  count.textContent = String(names.length);
  // Others may have our name too: one of them is us, and it matters not which.
  const own = names.indexOf(username);
  memberList.replaceChildren(...names.map((name, index) => {
    const member = document.createElement("li");
    member.className = "member";
    member.dataset.username = name;
    member.append(face(name), isolated(name));
    if (index === own) {
      member.dataset.you = "";
      member.append(span("you", "you"));
    }
    return member;
  }));
  hint.textContent = names.length === 1
    ? "Nobody else is here. Open this page in another tab, or send its address to somebody."
    : "Say hello.";
}

/** Says in the log who came, left, or took another name. */
function tellChange(before: string[], after: string[]): void {
  const changed = after.filter((name, index) => name !== before[index]);
  if (before.length === after.length && changed.length === 1) {
    // The server keeps the order of coming, so that a new name in an old
    // place is the same person. Who has just come has no name yet.
    const old = before.find((name, index) => name !== after[index]);
    const [name = ""] = changed;
    if (old === undefined || old === "anon") tell(isolated(name), " joined");
    else tell(isolated(old), " is now ", isolated(name));
    return;
  }
  for (const name of without(before, after)) tell(isolated(name), " left");
  for (const name of without(after, before)) tell(isolated(name), " joined");
}

/** The names that are left when others are taken away, each as often as it is there. */
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

/** The page shows that many rows; older ones go. */
const ROWS = 1000;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});

/**
 * What we said and have not heard back yet: the server tells a message to its
 * author too, and a name does not say who that is, since two may have the same.
 */
const unechoed: string[] = [];

let last: { author: string; own: boolean; time: number } | undefined;
let unread = 0;

function showMessage(author: string, said: string): void {
  const own = author === username && unechoed[0] === said;
  if (own) unechoed.shift();
  const now = new Date();
  const continued = last !== undefined && last.author === author &&
    last.own === own && now.getTime() - last.time < TOGETHER;
  last = { author, own, time: now.getTime() };

  const row = document.createElement("li");
  row.className = "message";
  row.classList.toggle("own", own);
  row.classList.toggle("continued", continued);
  row.dataset.author = author;
  row.style.setProperty("--hue", String(hue(author)));

  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = clock.format(now);
  const name = isolated(own ? "You" : author);
  // What stands on the right side needs no name but for those who hear it.
  name.className = own ? "unseen" : "author";
  const head = span("head");
  head.append(name, time);
  const body = document.createElement("div");
  body.className = "text";
  body.dir = "auto";
  body.textContent = said;

  row.append(face(author), head, body);
  append(row, own);

  if (document.hidden) {
    unread += 1;
    document.title = `(${unread}) Chat`;
  }
}

function tell(...news: (string | Node)[]): void {
  const row = document.createElement("li");
  row.className = "news";
  row.append(...news);
  last = undefined;
  append(row, false);
}

/** Whether the newest row was in sight when somebody last looked. */
let atEnd = true;

/** Adds a row, and follows it unless the reader is further up. */
function append(row: HTMLElement, follow: boolean): void {
  lookAtEnd();
  empty.hidden = true;
  messages.append(row);
  while (messages.childElementCount > ROWS) {
    messages.firstElementChild?.remove();
  }
  if (atEnd || follow) scrollToEnd();
  else newer.hidden = false;
}

function scrollToEnd(): void {
  log.scrollTop = log.scrollHeight;
}

function lookAtEnd(): void {
  atEnd = log.scrollHeight - log.clientHeight - log.scrollTop < 40;
}

log.addEventListener("scroll", () => {
  lookAtEnd();
  if (atEnd) newer.hidden = true;
});
// The keyboard of a phone comes and goes, the form grows with its text.
new ResizeObserver(() => {
  if (atEnd) scrollToEnd();
}).observe(log);

newer.addEventListener("click", () => {
  scrollToEnd();
  text.focus();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = "Chat";
});

sayForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (said === "" || send.disabled || !chat) return;
  sayError.textContent = "";
  text.value = "";
  unechoed.push(said);
  try {
    await chat.remote.say(said);
  } catch (error) {
    const index = unechoed.lastIndexOf(said);
    if (index >= 0) unechoed.splice(index, 1);
    sayError.textContent = explain(error);
    text.value ||= said;
  }
});

text.addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sayForm.requestSubmit();
});

// --------------------------------------------------------------- The pieces

function span(className: string, content = ""): HTMLElement {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = content;
  return made;
}

/** A name that cannot turn the direction of what is around it. */
function isolated(name: string): HTMLElement {
  const made = document.createElement("bdi");
  made.textContent = name;
  return made;
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

if (rememberedName() === "") askName();
else rejoin();
