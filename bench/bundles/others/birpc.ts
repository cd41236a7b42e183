/** What a page imports of birpc to call and be called. */

export { createBirpc } from "birpc";
