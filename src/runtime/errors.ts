/**
 * The platform's named errors, where it has them: React Native has no
 * `DOMException`, and its signals have no `reason` and no `throwIfAborted` (seen in
 * 0.82). The name is the same.
 *
 * To be deleted when React Native has them.
 *
 * @see {@link https://webidl.spec.whatwg.org/#idl-DOMException}
 *
 * @module
 */

/** Makes an error by the name that the platform gives it. */
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

/** Why a signal aborted. */
export function reasonOf({ reason }: AbortSignal): unknown {
  return reason === undefined
    ? namedError("The operation was aborted", "AbortError")
    : reason;
}
