/** What every contender is: the same methods over JSON-RPC 2.0, served and called. */

import type { Socket } from "@jsonrpcws/peer/testing";

/** A contender, one file in `contenders/`. */
export interface Contender {
  /** Listens on a free port of 127.0.0.1 and returns the URL to connect to. */
  serve(): string | Promise<string>;
  /** Connects to what {@linkcode serve} returned, and resolves once calls can be made. */
  connect(url: string): Promise<Client>;
  /** Joins both halves over a connected pair of sockets in this process; absent if it can't. */
  pair?(server: Socket, client: Socket): Client | Promise<Client>;
}

/** The calling half of a contender. */
export interface Client {
  add(a: number, b: number): Promise<number>;
  /**
   * Has the server send the numbers from 0, that many, each of which `take` is
   * given, and resolves after the last; absent if it can't.
   */
  count?(to: number, take: (n: number) => void): Promise<void>;
}

/** The contenders by name, each loaded only in the processes that run it. */
export const contenders: Record<string, () => Promise<Contender>> = {
  loop: () => import("./contenders/loop.ts"),
  peer: () => import("./contenders/peer.ts"),
  shared: () => import("./contenders/shared.ts"),
  plain: () => import("./contenders/plain.ts"),
  capable: () => import("./contenders/capable.ts"),
};
