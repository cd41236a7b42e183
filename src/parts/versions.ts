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
    if (version === "1.0") {
      return `{"id":${writeId(id)},"method":${name},"params":${
        params ?? "[]"
      }}`;
    }
    return params === undefined
      ? `{"method":${name},"id":${writeId(id)}}`
      : `{"method":${name},"params":${params},"id":${writeId(id)}}`;
  },

  writeNotification(version, method, params) {
    const name = JSON.stringify(method);
    if (version === "1.0") {
      return `{"id":null,"method":${name},"params":${params ?? "[]"}}`;
    }
    return params === undefined
      ? `{"method":${name}}`
      : `{"method":${name},"params":${params}}`;
  },

  writeResult: (version, id, result) =>
    version === "1.0"
      ? `{"id":${writeId(id)},"result":${result},"error":null}`
      : `{"result":${result},"id":${writeId(id)}}`,

  writeError,

  checkParams(version: Version, params: Params | undefined) {
    if (version !== "1.0" || params === undefined || Array.isArray(params)) {
      return;
    }
    throw new TypeError("JSON-RPC 1.0 has no params by name, pass an array");
  },
};

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
