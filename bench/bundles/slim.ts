export { connect } from "../../slim.ts";
