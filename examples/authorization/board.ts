/** A board of notes: some users may write on it, fewer may wipe it. */

import { broadcast, guard, Peer } from "../../mod.ts";

/** Somebody who has signed in. */
export interface User {
  readonly name: string;
  readonly isModerator?: boolean;
}

/** The page's methods, for the server to call. */
export interface Page {
  /** The board has these notes now, the newest last. */
  changed(notes: readonly string[]): void;
}

/** The number of notes that are kept. */
const KEPT = 20;

/** One connection to the board; its user may be unknown. */
export class Board extends Peer<Page, User | undefined> {
  static readonly members = new Set<Board>();
  static readonly notes: string[] = [];

  override local = {
    whoami: () => this.context?.name ?? null,
    post: guard(
      () => this.context && true,
      (text: string) => {
        // Types don't exist at run time, so the argument may be anything.
        const note = `${this.context!.name}: ${String(text).slice(0, 200)}`;
        if (Board.notes.push(note) > KEPT) Board.notes.shift();
        Board.#tell();
      },
    ),
    clear: guard(
      () => this.context?.isModerator,
      () => {
        Board.notes.splice(0);
        Board.#tell();
      },
    ),
  };

  static #tell(): void {
    broadcast(Board.members, "changed", [Board.notes]);
  }

  override onopen(): void {
    Board.members.add(this);
    this.notify("changed", [Board.notes]);
  }

  override onclose(): void {
    Board.members.delete(this);
  }
}
