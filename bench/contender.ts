/** A contender: the same methods in each, served and called. */

import type { Socket } from "@jsonrpcws/peer/testing";
import type { Item } from "./item.ts";

/**
 * Connects to what {@linkcode Contender.serve} returned, and resolves once calls can
 * be made: at once, where the contender lets them wait for the handshake.
 */
export type Connect = (url: string) => Client | Promise<Client>;

/**
 * A contender, one file in `contenders/`. If its server loads more than its client,
 * `connect` has a file of its own, `NAME_client.ts`, so that no client pays for the
 * server: Deno also loads a module's possible later imports. If Node has sockets of
 * its own for it, the file is `NAME_client_on_node.ts`.
 */
export interface Contender {
  /** Listens on a free port of 127.0.0.1 and returns the URL to connect to. */
  serve(): string | Promise<string>;
  connect: Connect;
  /**
   * Joins both halves over a connected pair of sockets in this process; absent if
   * it can't.
   *
   * @param methods How many times to serve `add`: the second is `add1`.
   */
  pair?(
    server: Socket,
    client: Socket,
    methods?: number,
  ): Client | Promise<Client>;
}

/** The calling half of a contender. */
export interface Client {
  add(a: number, b: number): Promise<number>;
  /** The same by another name: `add1` and so on; absent if it serves no more than one. */
  addBy?(name: string, a: number, b: number): Promise<number>;
  /** Asks for the item of this number; absent if it has none. */
  item?(id: number): Promise<Item>;
  /** Sends this item and is sent it back; absent if it can't. */
  echo?(item: Item): Promise<Item>;
  /**
   * Has the server send the numbers from 0, that many, and gives each to `take`;
   * absent if it can't.
   */
  count?(to: number, take: (n: number) => void): Promise<void>;
  /** Gives `take` each announcement after this has resolved; absent if it can't. */
  listen?(take: (n: number) => void): void | Promise<void>;
  /** Has the server tell this number to every client that listens. */
  announce?(n: number): Promise<void>;
}
