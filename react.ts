/**
 * The client in React: a connection that lives as long as its component; its
 * status, the result of a call and the values of a stream as state. Only this
 * module depends on React.
 *
 * During server-side rendering nothing connects: components are rendered as they
 * are before there is a connection. StrictMode mounts each component twice, so it
 * connects twice and closes the first connection.
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

/** The part of a {@linkcode Peer} that {@linkcode usePeer} needs. */
export interface Closable {
  /** Closes the connection for good. */
  close(): void;
}

/** The part of a {@linkcode Peer} that {@linkcode useStream} needs. */
export interface Openable {
  /** Resolves when there is a connection; see {@linkcode Peer.opened}. */
  readonly opened: Promise<void>;
}

/** The part of a {@linkcode Peer} that {@linkcode useConnection} needs. */
export interface Connected {
  /** See {@linkcode Peer.connection}. */
  readonly connection: ConnectionStore;
}

/** The state of a call: loading, its result, or its error. */
export interface CallState<Result> {
  /** The method's result; absent until the call has succeeded. */
  readonly value?: Result;
  /** The reason of the failure; absent if there was none. */
  readonly error?: unknown;
  /** Whether the call has not been answered yet. */
  readonly isLoading: boolean;
}

/** The state of a stream: its latest value, and whether it has ended or failed. */
export interface StreamState<Value> {
  /** The latest value; absent until there is one. */
  readonly value?: Value;
  /** The reason of the failure; absent if there was none. */
  readonly error?: unknown;
  /** Whether the stream has ended or failed. */
  readonly isDone: boolean;
}

/**
 * A client for as long as the component is mounted.
 *
 * @param make Connects: `() => connect(url)`.
 * @param dependencies The values that `make` reads: if one changes, the client is
 * closed and a new one is made. Default: none.
 * @returns The client; `undefined` in the first rendering, and on a server.
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
 * @param peer A client; for `undefined` the status is `"connecting"`.
 */
export function useConnection(peer: Connected | undefined): ConnectionStatus {
  const { subscribe, get } = peer?.connection ?? none;
  return useSyncExternalStore(subscribe, get, none.get);
}

/**
 * The state of a call, which is made as soon as there is a peer.
 *
 * @param peer A client, made by {@linkcode usePeer} or elsewhere.
 * @param call Makes the call: `(peer, signal) => peer.with({ signal }).find(name)`.
 * The signal aborts when the component is unmounted, or the peer or a dependency
 * changes.
 * @param dependencies The values that `call` reads: if one changes, the call is
 * made again, and the result of the earlier one is dropped. Default: none.
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
 * The state of a stream, which is opened again after a lost connection, and left
 * when the component is unmounted.
 *
 * @param peer A client, made by {@linkcode usePeer} or elsewhere.
 * @param open Opens the stream, once for each connection:
 * `(peer, last) => peer.remote.prices(last)`. `last` is the latest value;
 * `undefined` if there was none.
 * @param dependencies The values that `open` reads: if one changes, the stream is
 * left and opened again. Default: none.
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
      // Called here, because the loop below would notice only with the next value.
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

/**
 * The state of work that begins when there is a peer, and again when a dependency
 * changes.
 */
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
  // A new key for each set of dependencies: state that was set under an old key is
  // not shown.
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
