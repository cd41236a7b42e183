/**
 * The older versions: JSON-RPC 1.0, and "bare", which is 2.0 without the member
 * `jsonrpc`. A peer without the option `version` changes to 1.0 if the first
 * message that it receives names no version.
 *
 * @see {@link https://www.jsonrpc.org/specification_v1}
 *
 * @module
 */

import type { CorePart } from "../peer/core.ts";
import type { Versions } from "../peer/seams.ts";
import type { ErrorObject } from "../wire/error.ts";
import {
  type Id,
  type Params,
  type Version,
  writeId,
  writeParams,
  writeValue,
} from "../wire/message.ts";

/** The part that speaks JSON-RPC 1.0 and bare. */
export const versions: CorePart = {
  name: "versions",
  attach(core) {
    core.versions = core.options.stringErrors ? withStringErrors : usual;
  },
};

const usual: Versions = {
  unnamed: (spoken, isShared) => isShared || spoken === "bare" ? "bare" : "1.0",

  writeRequest(version, id, method, params) {
    const name = JSON.stringify(method);
    const written = writeParamsIn(version, params);
    if (version === "1.0") {
      return `{"id":${writeId(id)},"method":${name},"params":${written}}`;
    }
    return written === undefined
      ? `{"method":${name},"id":${writeId(id)}}`
      : `{"method":${name},"params":${written},"id":${writeId(id)}}`;
  },

  writeNotification(version, method, params) {
    const name = JSON.stringify(method);
    const written = writeParamsIn(version, params);
    if (version === "1.0") {
      return `{"id":null,"method":${name},"params":${written}}`;
    }
    return written === undefined
      ? `{"method":${name}}`
      : `{"method":${name},"params":${written}}`;
  },

  writeResult(version, id, result) {
    const written = writeValue(result);
    return version === "1.0"
      ? `{"id":${writeId(id)},"result":${written},"error":null}`
      : `{"result":${written},"id":${writeId(id)}}`;
  },

  writeError,
};

function writeParamsIn(
  version: Version,
  params: Params | undefined,
): string | undefined {
  if (version !== "1.0") return writeParams(params);
  if (params === undefined) return "[]";
  if (Array.isArray(params)) return writeParams(params);
  throw new TypeError("JSON-RPC 1.0 has no params by name, pass an array");
}

/** Some 1.0 peers accept errors only as strings. */
const withStringErrors: Versions = /* @__PURE__ */ Object.assign({}, usual, {
  writeError: (version: Version, id: Id, error: ErrorObject) =>
    writeError(version, id, version === "1.0" ? error.message : error),
});

function writeError(
  version: Version,
  id: Id,
  error: ErrorObject | string,
): string {
  const text = JSON.stringify(error);
  return version === "1.0"
    ? `{"id":${writeId(id)},"result":null,"error":${text}}`
    : `{"error":${text},"id":${writeId(id)}}`;
}
