/** The service of the chat: one instance of it is one person in the room. */

import { broadcast, CloseCode, ErrorCode, Peer, RpcError } from "../../mod.ts";

/** A message. */
export type Message = [
  username: string,
  text: string,
  /** The id that its author gave it; absent, like the time, if none. */
  id?: string,
  /** The time of the message: ms since 1970. */
  time?: number,
];

/** The people in the room. */
export interface People {
  /** Everybody's name, in the order of their coming. */
  readonly names: string[];
  /** Index of the caller's own name. */
  readonly own: number;
  /** The servers that they are connected to; absent where there is but one. */
  readonly nodes?: readonly string[];
}

/** The page's methods, for the server to call. */
export interface Page {
  /** Somebody came, left or took another name: ask who is there now. */
  joinpart(): void;
  /** Somebody said something. */
  message(...message: Message): void;
  /** Messages may be missing. */
  missed(): void;
}

/** Code of the error that refuses a username. */
export const USERNAME_REFUSED = 1;

/** Code of the error that refuses a text. */
export const TEXT_REFUSED = 2;

/** The number of messages that are kept: together they fit into one of the protocol's. */
const KEPT = 50;

/**
 * A person in the room, from the opening of the connection to its end.
 *
 * Everybody served by this class, by one server or by several, is in one room.
 */
export class Chat extends Peer<Page> {
  /** Everybody whose connection is open, in the order of their coming. */
  static readonly members: Set<Chat> = new Set();

  /** The last messages that have an id, by it. */
  static readonly #messages = new Map<string, Message>();

  username = "anon";
  #key: string | undefined;

  override local = {
    /**
     * Takes a name, and tells everybody.
     *
     * @param key A secret of the page's. An older connection with the same one is
     * lost, though the server doesn't know it yet: this one takes its place.
     */
    set_username: (username: string, key?: string): void => {
      this.#key = checkedId(key);
      this.username = checkedUsername(username);
      for (const member of Chat.members) {
        if (!member.#isReplacedBy(this)) continue;
        member.close(CloseCode.Replaced, "The page has connected anew");
      }
      broadcast(Chat.members, "joinpart");
    },

    /** The people's names, in the order of their coming. */
    clients: (): string[] =>
      Array.from(Chat.members, (member) => member.username),

    /** The same, with the caller's index: two people may have one name. */
    people: (): People => {
      const members = [...Chat.members];
      return {
        names: members.map((member) => member.username),
        own: members.indexOf(this),
      };
    },

    /**
     * Says something to everybody, oneself too.
     *
     * @param id The message's id. A page says it again under the same id if the
     * connection was lost before the answer; it is then said only once.
     */
    say: (text: string, id?: string): void => {
      const said = checkedText(text);
      const known = checkedId(id);
      if (known === undefined) {
        broadcast(Chat.members, "message", [this.username, said]);
      } else if (!Chat.#messages.has(known)) {
        const time = Date.now();
        Chat.#keep(known, [this.username, said, known, time]);
        broadcast(Chat.members, "message", [this.username, said, known, time]);
      }
    },

    /**
     * The last messages that have an id, the newest last.
     *
     * @param _since The position of the page's last message, if it has one: for
     * servers that send it the messages after that.
     */
    messages: (_since?: string): Message[] => [...Chat.#messages.values()],
  };

  static #keep(id: string, message: Message): void {
    Chat.#messages.set(id, message);
    const [oldest] = Chat.#messages.keys();
    if (Chat.#messages.size > KEPT) Chat.#messages.delete(oldest!);
  }

  #isReplacedBy(newer: Chat): boolean {
    return this !== newer && this.#key !== undefined &&
      this.#key === newer.#key;
  }

  override onopen(): void {
    broadcast(Chat.members, "joinpart");
    Chat.members.add(this);
  }

  override onclose(): void {
    Chat.members.delete(this);
    broadcast(Chat.members, "joinpart");
  }
}

/**
 * Characters that would break a line, turn the direction of their neighbours, or
 * not arrive as they were sent (half a surrogate pair).
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** A text without a visible character. */
const BLANK = /^[\s\p{Default_Ignorable_Code_Point}]*$/u;

// The static types hold for our own page only. Others can connect and send
// anything, so all checks begin with the type.

/** Returns a username without outer spaces if it is fit for all, else throws. */
export function checkedUsername(value: unknown): string {
  const refuse = (why: string) => new RpcError(USERNAME_REFUSED, why);
  if (typeof value !== "string") throw refuse("A username must be a string");
  const username = value.trim();
  if (BLANK.test(username)) throw refuse("A username must not be empty");
  // In UTF-16 code units, as `maxlength` of the page's form counts.
  if (username.length > 32) {
    throw refuse("A username must have at most 32 characters");
  }
  if (UNPRINTABLE.test(username)) {
    throw refuse("A username must not contain control characters");
  }
  return username;
}

/** Returns a text if it is fit for all, else throws. */
export function checkedText(value: unknown): string {
  const refuse = (why: string) => new RpcError(TEXT_REFUSED, why);
  if (typeof value !== "string") throw refuse("A text must be a string");
  if (BLANK.test(value)) throw refuse("A text must not be empty");
  if (value.length > 2000) {
    throw refuse("A text must have at most 2,000 characters");
  }
  return value;
}

/** Returns a message's id or a page's key if it is short, else throws. */
export function checkedId(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length <= 64) return value;
  throw new RpcError(
    ErrorCode.InvalidParams,
    "An id must be a string of at most 64 characters",
  );
}
