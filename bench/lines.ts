/** The conversation between the bench's processes: a line of JSON, answered by a line of JSON. */

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

/** Greets whoever started this process, and answers until it asks no more. */
export async function converse<Question>(
  greeting: string,
  answer: (question: Question) => unknown,
): Promise<void> {
  console.log(JSON.stringify(greeting));
  for await (const line of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  }
}
