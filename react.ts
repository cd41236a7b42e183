/**
 * The client in React: a connection that lives as long as its component, what
 * becomes of it, a call and a stream as state. React is a dependency of this
 * module alone.
 *
 * On a server nothing connects: components are rendered as they are before there
 * is a connection. StrictMode mounts each component twice, and so connects twice,
 * of which the first connection is closed.
 *
 * @see {@link https://react.dev/reference/react/hooks}
 *
 * @module
 */

// @ts-types="./src/runtime/react.d.ts"
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { resume } from "./src/events/resume.ts";
import type { ConnectionStatus, ConnectionStore } from "./src/parts/status.ts";

export type { CloseInfo } from "./src/wire/error.ts";
export type { FailedAttempt } from "./src/line/retry.ts";
export type { ConnectionState } from "./src/peer/core.ts";
export type { ConnectionStatus, ConnectionStore } from "./src/parts/status.ts";

/** What {@linkcode usePeer} closes; each {@linkcode Peer} is one. */
export interface Closable {
  /** Ends it for good. */
  close(): void;
}

/** What {@linkcode useStream} reads from; each {@linkcode Peer} is one. */
export interface Openable {
  /** Resolves when there is a connection; see {@linkcode Peer.opened}. */
  readonly opened: Promise<void>;
}

/** What {@linkcode useConnection} shows; each {@linkcode Peer} has one. */
export interface Connected {
  /** See {@linkcode Peer.connection}. */
  readonly connection: ConnectionStore;
}

/** A call, as a component shows it. */
export interface CallState<Result> {
  /** What the method returned; absent until then. */
  readonly value?: Result;
  /** Why it failed; absent if it didn't. */
  readonly error?: unknown;
  /** Whether neither is known yet. */
  readonly isLoading: boolean;
}

/** A stream, as a component shows it. */
export interface StreamState<Value> {
  /** The latest value; absent until there is one. */
  readonly value?: Value;
  /** Why it failed; absent if it didn't. */
  readonly error?: unknown;
  /** Whether it has ended. */
  readonly isDone: boolean;
}

/**
 * A client for as long as the component is mounted.
 *
 * @param make Connects: `() => connect(url)`.
 * @param dependencies What it is made from: if one changes, the client is closed
 * and another one made. Default: none.
 * @returns `undefined` at first, and on a server.
 */
export function usePeer<Peer extends Closable>(
  make: () => Peer,
  dependencies: readonly unknown[] = [],
): Peer | undefined {
  const [peer, setPeer] = useState<Peer | undefined>(undefined);
  useEffect(() => {
    const made = make();
    setPeer(() => made);
    return () => {
      setPeer(() => undefined);
      made.close();
    };
  }, dependencies);
  return peer;
}

/**
 * The status of a connection; the component is rendered again when it changes.
 *
 * @param peer Without one yet, the status is that of a client that connects.
 */
export function useConnection(peer: Connected | undefined): ConnectionStatus {
  const { subscribe, get } = peer?.connection ?? none;
  return useSyncExternalStore(subscribe, get, none.get);
}

/**
 * The result of a call, made once there is a peer.
 *
 * @param peer A client, of {@linkcode usePeer} or of your own.
 * @param call Calls: `(peer, signal) => peer.with({ signal }).find(name)`. The
 * signal aborts when nobody waits for the result any more.
 * @param dependencies What it is called with: if one changes, it is called again,
 * and a result that is still on its way is not shown. Default: none.
 */
export function useCall<Peer, Result>(
  peer: Peer | undefined,
  call: (peer: Peer, signal: AbortSignal) => PromiseLike<Result>,
  dependencies: readonly unknown[] = [],
): CallState<Result> {
  return useWork(peer, dependencies, loading, async (peer, set, signal) => {
    try {
      const value = await call(peer, signal);
      set(() => ({ value, isLoading: false }));
    } catch (error) {
      set(() => ({ error, isLoading: false }));
    }
  });
}

/**
 * The latest value of a stream, which goes on over lost connections and is left
 * when nobody shows it any more.
 *
 * @param peer A client, of {@linkcode usePeer} or of your own.
 * @param open Opens the stream, on each connection: `(peer, last) =>
 * peer.remote.prices(last)`. `last` is the latest value, `undefined` at first.
 * @param dependencies What it is opened with: if one changes, the stream is left
 * and another one opened. Default: none.
 */
export function useStream<Peer extends Openable, Value>(
  peer: Peer | undefined,
  open: (peer: Peer, last: Value | undefined) => AsyncIterable<Value>,
  dependencies: readonly unknown[] = [],
): StreamState<Value> {
  return useWork(peer, dependencies, streaming, async (peer, set, signal) => {
    const values = resume<Value>(peer, (last) => {
      signal.throwIfAborted();
      const values = open(peer, last)[Symbol.asyncIterator]();
      // At once: the loop is left when the next value comes.
      signal.addEventListener("abort", () => values.return?.());
      return { [Symbol.asyncIterator]: () => values };
    });
    try {
      for await (const value of values) set(() => ({ value, isDone: false }));
      set((state) => ({ ...state, isDone: true }));
    } catch (error) {
      set((state) => ({ ...state, error, isDone: true }));
    }
  });
}

/** The state of work that begins with a peer, and anew when something changes. */
function useWork<Peer, State extends object>(
  peer: Peer | undefined,
  dependencies: readonly unknown[],
  initial: State,
  work: (
    peer: Peer,
    set: (next: (state: State) => State) => void,
    signal: AbortSignal,
  ) => Promise<void>,
): State {
  // What is shown was found for these very dependencies, or is not shown.
  const key = useMemo(() => ({}), [peer, ...dependencies]);
  const [shown, show] = useState<{ key: object; state: State }>({
    key,
    state: initial,
  });
  useEffect(() => {
    if (peer === undefined) return undefined;
    const controller = new AbortController();
    const { signal } = controller;
    work(peer, (next) => {
      if (signal.aborted) return;
      show((shown) => ({
        key,
        state: next(shown.key === key ? shown.state : initial),
      }));
    }, signal);
    return () => controller.abort();
  }, [key]);
  return shown.key === key ? shown.state : initial;
}

const connecting: ConnectionStatus = { state: "connecting", attempt: 0 };
const none: ConnectionStore = {
  subscribe: () => () => {},
  get: () => connecting,
};
const loading = { isLoading: true };
const streaming = { isDone: false };
