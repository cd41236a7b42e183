/**
 * Named errors for React Native, which has no `DOMException` and whose signals have
 * no `reason` and no `throwIfAborted` (seen in 0.82). There, an Error with the same
 * name stands in.
 *
 * To be deleted when React Native has them.
 *
 * @see {@link https://webidl.spec.whatwg.org/#idl-DOMException}
 *
 * @module
 */

/** Makes a DOMException, or an Error with its name. */
export function namedError(
  message: string,
  name:
    | "AbortError"
    | "InvalidAccessError"
    | "InvalidStateError"
    | "SyntaxError"
    | "TimeoutError",
): Error {
  return typeof DOMException === "function"
    ? new DOMException(message, name)
    : Object.assign(new Error(message), { name });
}

/** The reason of a signal that has aborted. */
export function reasonOf({ reason }: AbortSignal): unknown {
  return reason === undefined
    ? namedError("The operation was aborted", "AbortError")
    : reason;
}
