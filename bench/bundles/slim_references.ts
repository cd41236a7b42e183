/** The imports of a small page that passes functions. */

export { marshal } from "../../mod.ts";
export { connect, references } from "../../slim.ts";
