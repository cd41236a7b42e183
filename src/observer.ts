/**
 * Who listens to a peer's notifications, beside the methods of `local`.
 *
 * @module
 */

import type { ConnectionClosedError } from "./error.ts";
import type { Notification, Params, Request } from "./message.ts";
import { type AnyPeer, coreOf } from "./peer.ts";

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
  inform({ type, method, params }: Request | Notification): void {
    const observers = this.#all.get(method);
    if (observers === undefined || type === "request") return;
    for (const observer of [...observers]) observer.next(params);
  }

  /** Tells all that no more will come. */
  end(reason: (method: string) => ConnectionClosedError): void {
    for (const [method, observers] of this.#all) {
      for (const observer of observers) observer.end(reason(method));
    }
  }
}

/** Listens to a notification of the peer's; returns how to stop. */
export function observe(
  peer: AnyPeer,
  method: string,
  observer: Observer,
): () => void {
  const core = coreOf(peer);
  if (core.ended !== undefined) {
    observer.end(core.closedError("No more of", false, method));
    return () => {};
  }
  return (core.observers ??= new Observers()).add(method, observer);
}
