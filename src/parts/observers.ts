/**
 * Who listens to a peer's notifications, beside the methods of `local`.
 *
 * @module
 */

import type { CloseInfo, ConnectionClosedError } from "../wire/error.ts";
import type { Notification, Params, Request } from "../wire/message.ts";

/** Who listens to a notification of the peer's. */
export interface Observer {
  /** Takes the params of one. */
  next(params: Params | undefined): void;
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
    { type, method, params }: Pick<
      Request | Notification,
      "type" | "method" | "params"
    >,
  ): void {
    const observers = this.#all.get(method);
    if (observers === undefined || type === "request") return;
    for (const observer of [...observers]) observer.next(params);
  }

  /** Tells all that no more will come. */
  end(reason: (what: string) => ConnectionClosedError): void {
    for (const [method, observers] of this.#all) {
      for (const observer of observers) observer.end(reason(noMoreOf(method)));
    }
  }
}

/** What a peer lends to those who listen. */
export interface Observable {
  /** There once somebody listens on this connection. */
  observers: Observers | undefined;
  /** How it ended, once it is over. */
  readonly ended: CloseInfo | undefined;
  /** Why nothing more comes. */
  closedError(what: string, sent: boolean): ConnectionClosedError;
}

/**
 * How to get that of a peer, for each class of peers: only they know, and none
 * needs the other one.
 */
export const observables: ((peer: object) => Observable | undefined)[] = [];

/** Listens to a notification of the peer's; returns how to stop. */
export function observe(
  peer: object,
  method: string,
  observer: Observer,
): () => void {
  for (const find of observables) {
    const observable = find(peer);
    if (observable === undefined) continue;
    if (observable.ended === undefined) {
      return (observable.observers ??= new Observers()).add(method, observer);
    }
    observer.end(observable.closedError(noMoreOf(method), false));
  }
  return () => {};
}

function noMoreOf(method: string): string {
  return `No more of "${method}"`;
}
