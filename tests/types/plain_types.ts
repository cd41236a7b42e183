/**
 * What compiles and what must not, of methods that take plain data. Nothing here runs.
 */

import {
  guard,
  type Json,
  type Marshaled,
  method,
  Peer,
  plain,
} from "../../mod.ts";

interface Note {
  readonly text: string;
  readonly tags?: readonly string[];
}

export async function keepsTheType(): Promise<void> {
  const local = {
    put: plain((note: Note, times?: number) => note.text.repeat(times ?? 1)),
    any: plain((value: Json, ...more: unknown[]) => [value, ...more].length),
    who: plain(function (text: string) {
      return `${this.call.method} ${text}`;
    }),
    guarded: guard(
      (note: Note) => note.text !== "",
      plain((note: Note) => note.text.length),
    ),
    declared: plain(method({}, (note: Note) => note.text)),
  };
  const { remote } = new Peer<typeof local>(new WebSocket("ws://localhost"));
  (await remote.put({ text: "a" }, 2)).toUpperCase();
  (await remote.any([{ token: 1 }], "more")).toFixed();
  (await remote.who("a")).toUpperCase();
  (await remote.guarded({ text: "a" })).toFixed();
  (await remote.declared({ text: "a" })).toUpperCase();
  // @ts-expect-error: it takes a note.
  remote.put("a");
  // @ts-expect-error: a function is no JSON.
  remote.any(() => 1);
}

export async function takesNothingElse(): Promise<void> {
  const local = {
    stream: plain((values: AsyncIterable<number>) => void values),
    visit: plain((visit: (name: string) => Promise<void>) => void visit),
    object: plain((object: Marshaled<{ get(): number }>) => void object),
  };
  const { remote } = new Peer<typeof local>(new WebSocket("ws://localhost"));
  async function* numbers(): AsyncGenerator<number> {
    yield await Promise.resolve(1);
  }
  // @ts-expect-error: a stream is no plain data.
  await remote.stream(numbers());
  // @ts-expect-error: nor is a function.
  await remote.visit(async () => {});
  // @ts-expect-error: nor is what is marked.
  await remote.object({} as Marshaled<{ get(): number }>);
}
