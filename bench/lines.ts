/** The conversation between the bench's processes: a line of JSON, answered by a line of JSON. */

import process from "node:process";
import { createInterface } from "node:readline";

/** A question's answer, or the reason why there is none. */
export type Reply = { answer: unknown } | { error: string };

/** Text lines out of a stream of bytes. */
export async function* lines(
  bytes: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  let rest = "";
  // The DOM types of a decoder stream don't accept the narrower byte stream that Deno hands out.
  const decoder = new TextDecoderStream() as ReadableWritablePair<
    string,
    Uint8Array
  >;
  for await (const text of bytes.pipeThrough(decoder)) {
    const whole = (rest + text).split("\n");
    rest = whole.pop()!;
    yield* whole;
  }
}

/** Greets the process that started this one, and answers until it asks no more. */
export async function converse<Question>(
  greeting: unknown,
  answer: (question: Question) => unknown,
): Promise<void> {
  write({ answer: greeting });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      write({ answer: await answer(JSON.parse(line)) ?? null });
    } catch (error) {
      write({ error: error instanceof Error ? error.message : String(error) });
    }
  }
}

function write(reply: Reply): void {
  process.stdout.write(JSON.stringify(reply) + "\n");
}
