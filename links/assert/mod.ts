/**
 * `@std/assert` for a machine that reaches npm but not JSR: the same functions
 * out of the npm build of the standard library, with the types it lacks.
 *
 * @module
 */

// @ts-types="./mod.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
