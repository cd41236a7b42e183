/** What a page imports to which size matters, and that passes functions. */

export { marshal } from "../../mod.ts";
export { connect, references } from "../../slim.ts";
