/** Text lines out of a stream of bytes, for the conversation between the bench's processes. */

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
