/**
 * What compiles and what must not, of guards. Nothing here runs.
 */

import { guard, method, Peer, type StandardSchema } from "../../mod.ts";

declare const number: StandardSchema<number>;
declare const text: StandardSchema<string>;

interface User {
  readonly name: string;
  readonly isModerator?: boolean;
}

export async function keepsTheType(
  context: User | undefined,
): Promise<void> {
  class Room extends Peer<unknown, User | undefined> {
    override local = {
      kick: guard(
        () => this.context?.isModerator,
        (name: string) => name.length,
      ),
      rename: guard(
        (name, times) => name.length > times,
        (name: string, times: number) => name.repeat(times),
      ),
      later: guard(async () => await this.isAllowed(), () => 1),
      ticks: guard(() => true, async function* () {
        yield await Promise.resolve(1);
      }),
      add: guard(
        (a: number) => a > 1,
        method({ params: [{ a: number }], result: text }, String),
      ),
    };
    isAllowed(): Promise<boolean | undefined> {
      return Promise.resolve(true);
    }
  }
  const ws = new WebSocket("ws://localhost");
  const room = new Room(ws, { context });
  const { remote } = new Peer<Room["local"]>(ws);
  const { kick, rename } = room.local;
  const length: number = kick("ann");
  const name: string = rename("ann", length);
  length.toFixed();
  (await remote.rename(name, 2)).toUpperCase();
  (await remote.later()).toFixed();
  (await remote.add(1)).toUpperCase();
  for await (const tick of remote.ticks()) tick.toFixed();
  // @ts-expect-error: it takes a string.
  kick(1);
  // @ts-expect-error: it takes two.
  rename("ann");
  // @ts-expect-error: it takes a number.
  remote.add("1");
}

export function takesVerdictsAlone(): void {
  const fn = (name: string): number => name.length;
  guard(() => true, fn);
  guard(() => undefined, fn);
  guard(() => null, fn);
  guard(() => Promise.resolve(false), fn);
  guard((name) => name === "ann", fn);
  guard((name: string) => name === "ann", fn);
  // @ts-expect-error: a string is no verdict.
  guard(() => "yes", fn);
  // @ts-expect-error: a number is no verdict.
  guard(() => 1, fn);
  // @ts-expect-error: an object is no verdict.
  guard(() => ({}), fn);
  // @ts-expect-error: neither is what a promise of one brings.
  guard(() => Promise.resolve("yes"), fn);
  // @ts-expect-error: it gets what the method gets.
  guard((name: number) => name > 1, fn);
  // @ts-expect-error: it gets what the method gets.
  guard((name) => name > 1, fn);
}

export function knowsThePeer(): void {
  const local = {
    whoami: guard(
      function (this: Peer<unknown, User | undefined>) {
        return this.context && true;
      },
      function (more: number) {
        return this.call.method.length + (this.context?.name.length ?? more);
      },
    ),
    method: guard(() => true, function () {
      return this.call.method.length;
    }),
  };
  new Peer(new WebSocket("ws://localhost"), { local });
}
