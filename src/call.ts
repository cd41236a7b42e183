/**
 * What a running method knows of its call.
 *
 * @module
 */

import type { Id } from "./message.ts";

/** The call that a method is handling. */
export interface Call {
  /** The request's id as the caller wrote it; `undefined` for a notification. */
  readonly id: Id | undefined;
  /** The name that was called. */
  readonly method: string;
}
