/** The imports of a page from birpc, to call and be called. */

export { createBirpc } from "birpc";
