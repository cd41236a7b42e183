/** A board of notes: who may write on it, and who may wipe it. */

import { broadcast, guard, Peer } from "../../mod.ts";

/** Somebody who has signed in. */
export interface User {
  readonly name: string;
  readonly isModerator?: boolean;
}

/** What the page offers to the server. */
export interface Page {
  /** What is on the board now, the newest last. */
  changed(notes: readonly string[]): void;
}

/** That many notes are kept. */
const KEPT = 20;

/** What may be called, by whoever it is. */
export class Board extends Peer<Page, User | undefined> {
  static readonly members = new Set<Board>();
  static readonly notes: string[] = [];

  override local = {
    whoami: () => this.context?.name ?? null,
    post: guard(
      () => this.context && true,
      (text: string) => {
        // Anybody can send anything: a type is not there at run time.
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
