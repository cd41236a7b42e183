/**
 * Who listens to a peer's notifications, beside the methods of `local`.
 *
 * @module
 */

import type { ConnectionClosedError } from "../wire/error.ts";
import type { Notification, Params, Request } from "../wire/message.ts";

/** Who listens to a notification of the peer's. */
export interface Observer {
  /** Takes the params of one, and its whole message. */
  next(params: Params | undefined, source: object): void;
  /** The connection closed: no more will come. */
  end(error: ConnectionClosedError): void;
}

/** Those who listen on one connection. */
export class Observers {
  readonly #all = new Map<string, Set<Observer>>();

  /** Listens to a notification; returns how to stop. */
  add(method: string, observer: Observer): () => void {
    let observers = this.#all.get(method);
    if (observers === undefined) this.#all.set(method, observers = new Set());
    observers.add(observer);
    return () => {
      observers.delete(observer);
      if (observers.size === 0 && this.#all.get(method) === observers) {
        this.#all.delete(method);
      }
    };
  }

  /** Tells them of a call, if it is a notification. */
  inform(
    { type, method, params, source }: Request | Notification,
  ): void {
    const observers = this.#all.get(method);
    if (observers === undefined || type === "request") return;
    for (const observer of [...observers]) observer.next(params, source);
  }

  /** Tells all that no more will come. */
  end(reason: (what: string) => ConnectionClosedError): void {
    for (const [method, observers] of this.#all) {
      for (const observer of observers) observer.end(reason(noMoreOf(method)));
    }
  }
}

/** What is said to who listens to a connection that is closed. */
export function noMoreOf(method: string): string {
  return `No more of "${method}"`;
}
