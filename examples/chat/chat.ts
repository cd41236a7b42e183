/** The service of the chat: one instance of it is one person in the room. */

import { Peer, RpcError } from "../../mod.ts";

/** What the page of a person offers to the server. */
export interface Page {
  /** Somebody came, left or took another name: ask who is there now. */
  joinpart(): void;
  /** Somebody said something. */
  message(username: string, text: string): void;
}

/** Code of the error that refuses a username. */
export const USERNAME_REFUSED = 1;

/** Code of the error that refuses a text. */
export const TEXT_REFUSED = 2;

/**
 * A person in the room, from the opening of the connection to its end.
 *
 * Everybody served by this class, by one server or by several, is in one room.
 */
export class Chat extends Peer<Page> {
  /** Everybody whose connection is open, in the order of their coming. */
  static readonly members: Set<Chat> = new Set();

  username = "anon";

  override local = {
    /** Takes a name, and tells everybody. */
    set_username: (username: string): void => {
      this.username = checkedUsername(username);
      for (const member of Chat.members) member.notify("joinpart");
    },

    /** Who is there, in the order of their coming. */
    clients: (): string[] =>
      Array.from(Chat.members, (member) => member.username),

    /** Says something to everybody, oneself too. */
    say: (text: string): void => {
      const params: [string, string] = [this.username, checkedText(text)];
      for (const member of Chat.members) member.notify("message", params);
    },
  };

  override onopen(): void {
    for (const member of Chat.members) member.notify("joinpart");
    Chat.members.add(this);
  }

  override onclose(): void {
    Chat.members.delete(this);
    for (const member of Chat.members) member.notify("joinpart");
  }
}

/**
 * What would break a line, turn the direction of its neighbours, or not arrive
 * as it was sent (half a surrogate pair).
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** Nothing that could be seen. */
const BLANK = /^[\s\p{Default_Ignorable_Code_Point}]*$/u;

// The static types hold for our own page only: anybody can connect and send
// anything, so that both checks begin with the type.

function checkedUsername(value: unknown): string {
  const refuse = (why: string) => new RpcError(USERNAME_REFUSED, why);
  if (typeof value !== "string") throw refuse("A username must be a string");
  const username = value.trim();
  if (BLANK.test(username)) throw refuse("A username must not be empty");
  // Counted like `maxlength` of the page's form does, in UTF-16 code units.
  if (username.length > 32) {
    throw refuse("A username must have at most 32 characters");
  }
  if (UNPRINTABLE.test(username)) {
    throw refuse("A username must not contain control characters");
  }
  return username;
}

function checkedText(value: unknown): string {
  const refuse = (why: string) => new RpcError(TEXT_REFUSED, why);
  if (typeof value !== "string") throw refuse("A text must be a string");
  if (BLANK.test(value)) throw refuse("A text must not be empty");
  if (value.length > 2000) {
    throw refuse("A text must have at most 2,000 characters");
  }
  return value;
}
