/**
 * Listeners to the other side's notifications, beside the methods of `local`.
 *
 * @module
 */

import type { ConnectionClosedError } from "../wire/error.ts";
import type { Notification, Params, Request } from "../wire/message.ts";

/** A listener to a notification. */
export interface Observer {
  /** Takes the params of a notification, and the whole message. */
  next(params: Params | undefined, source: object): void;
  /** Called when the connection has closed. */
  end(error: ConnectionClosedError): void;
}

/** The listeners of one connection. */
export class Observers {
  readonly #all = new Map<string, Set<Observer>>();

  /** Adds a listener; returns a function that removes it. */
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

  /** Calls the listeners, if a call is a notification. */
  inform(
    { type, method, params, source }: Request | Notification,
  ): void {
    const observers = this.#all.get(method);
    if (observers === undefined || type === "request") return;
    for (const observer of [...observers]) observer.next(params, source);
  }

  /** Ends all listeners. */
  end(reason: (what: string) => ConnectionClosedError): void {
    for (const [method, observers] of this.#all) {
      for (const observer of observers) observer.end(reason(noMoreOf(method)));
    }
  }
}

/** The message for listeners to a closed connection. */
export function noMoreOf(method: string): string {
  return `No more of "${method}"`;
}
