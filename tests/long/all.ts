/**
 * The long checks, all of them at the same time: `deno task interop:long`. No test
 * of `deno task test` has its name.
 *
 * @module
 */

import "./calls.ts";
import "./peers.ts";
import "./clients.ts";
import "./servers.ts";
