/** A folder for as long as a test runs. */

import { until } from "./processes.ts";

/** A folder that is removed when it is disposed of. */
export interface TemporaryFolder extends AsyncDisposable {
  /** Its path. */
  readonly path: string;
}

/** Makes an empty one. */
export async function temporaryFolder(
  prefix: string,
): Promise<TemporaryFolder> {
  const path = await Deno.makeTempDir({ prefix });
  return {
    path,
    // What a program has started may outlive it for a moment, and write there.
    [Symbol.asyncDispose]: () =>
      until(() => isRemoved(path), `${path} can be removed`),
  };
}

async function isRemoved(path: string): Promise<boolean> {
  try {
    await Deno.remove(path, { recursive: true });
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
