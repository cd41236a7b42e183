/**
 * What tests hand to tools that look into whatever comes along: a remote, its
 * methods, and what the other side lent.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { BasePeer, UntypedRemote } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { result, settle } from "./scripted_socket.ts";
import { open, type Proxy } from "./stage.ts";

/** What is handed to a tool. */
export interface Given {
  readonly peer: BasePeer;
  /** Not a function. */
  readonly remote: UntypedRemote;
  /** Functions: methods of a remote, in a group, and what was lent. */
  readonly methods: readonly Proxy[];
  /** All of them, by themselves and within others. */
  readonly all: readonly unknown[];
}

/** A test of both peers in which a tool must make them send nothing. */
export function eachTool(
  title: string,
  test: (given: Given) => Promise<void> | void,
): void {
  eachPeer(`${title}, and sends nothing`, async (face) => {
    await using it = await open<BasePeer>(face);
    const { peer, socket } = it;
    const { remote } = peer;
    const asked = remote["lend"]!();
    socket.receive(
      result(1, { __jsonrpc_marshaled: 1, handle: 5 }),
    );
    const lent = await asked as Proxy;
    socket.take();
    const methods = [
      remote["save"],
      remote["math"]!["add"],
      peer.with({ timeout: 5 })["save"],
      lent,
      lent["add"],
    ] as unknown as Proxy[];
    const single = [remote, ...methods];
    const all = [
      ...single,
      ...single.map((value) => [value]),
      ...single.map((value) => ({ deep: { value } })),
    ];
    await test({ peer, remote, methods, all });
    await settle();
    assertEquals(socket.take(), []);
    assertEquals(it.thrown, []);
  });
}

/** Lets a matcher fail, and write why. */
export function refused(match: () => void): void {
  try {
    match();
  } catch {
    return;
  }
  throw new Error("It matched");
}
