/**
 * `@std/http` for a machine that reaches npm but not JSR: the same tables and
 * functions out of the npm build of the standard library, with the types it
 * lacks. Only the files that work there; its `file_server` does not.
 *
 * @module
 */

// @ts-types="./mod.d.ts"
export { STATUS_CODE, STATUS_TEXT } from "npm:deno-std@1.4.0/http/status.js";
// @ts-types="./cookie.d.ts"
export { getCookies, setCookie } from "npm:deno-std@1.4.0/http/cookie.js";
