/**
 * Discovery: an OpenRPC document of a peer's methods, the answer to `rpc.discover`.
 *
 * @see {@link https://spec.open-rpc.org}
 *
 * @module
 */

import type { ErrorObject } from "../wire/error.ts";
import { names } from "../peer/methods.ts";
import {
  declarationOf,
  type MethodDeclaration,
  type Parameter,
  type StandardSchema,
} from "./schema.ts";

/** A JSON Schema of draft 7; `{}` if nothing is known. */
export type JsonSchema = object;

/**
 * The description of a service.
 *
 * @see {@link https://spec.open-rpc.org/#info-object}
 */
export interface Info {
  /** The service's name. */
  readonly title: string;
  /** The version of its interface. */
  readonly version: string;
  /** A description in Markdown. */
  readonly description?: string;
  /** The address of the terms of service. */
  readonly termsOfService?: string;
  /** The contact for questions. */
  readonly contact?: {
    /** The name of the person or the organization. */
    readonly name?: string;
    /** The address of a page. */
    readonly url?: string;
    /** The address for mail. */
    readonly email?: string;
  };
  /** The license of the interface. */
  readonly license?: {
    /** The name of the license. */
    readonly name?: string;
    /** The address of its text. */
    readonly url?: string;
  };
}

/**
 * A parameter or a result.
 *
 * @see {@link https://spec.open-rpc.org/#content-descriptor-object}
 */
export interface ContentDescriptor {
  /** The parameter's name; for a result just "result". */
  readonly name: string;
  /** Whether it must be given. Default `false`. */
  readonly required?: boolean;
  /** Its JSON Schema. */
  readonly schema: JsonSchema;
}

/**
 * A method.
 *
 * @see {@link https://spec.open-rpc.org/#method-object}
 */
export interface OpenRpcMethod {
  /** Its name. */
  readonly name: string;
  /** One line about it. */
  readonly summary?: string;
  /** A description in Markdown. */
  readonly description?: string;
  /** Whether callers should use another method instead. Default `false`. */
  readonly deprecated?: boolean;
  /** `"either"`: params may also be passed by name. */
  readonly paramStructure: "by-position" | "either";
  /** Its parameters, in their order. */
  readonly params: readonly ContentDescriptor[];
  /** Its result. */
  readonly result: ContentDescriptor;
  /** The errors that it throws. */
  readonly errors?: readonly ErrorObject[];
}

/**
 * The document.
 *
 * @see {@link https://spec.open-rpc.org/#openrpc-schema-object}
 */
export interface OpenRpcDocument {
  /** The version of the specification. */
  readonly openrpc: "1.3.2";
  /** The description of the service. */
  readonly info: Info;
  /** The methods that may be called. */
  readonly methods: readonly OpenRpcMethod[];
  /** The schemas with references to themselves or to parts of themselves. */
  readonly components?: {
    /** Each schema under the last part of references to it. */
    readonly schemas: { readonly [name: string]: JsonSchema };
  };
}

/**
 * The options for a conversion to JSON Schema, with the names of zod's
 * `z.toJSONSchema` and of valibot's `toJsonSchema`.
 */
export interface ConversionOptions {
  /** The version of JSON Schema that OpenRPC uses. */
  readonly target: "draft-07";
  /** The side of the schema: of a caller's params, or of the result. */
  readonly io: "input" | "output";
  /** The same as `io`. */
  readonly typeMode: "input" | "output";
}

/** The options of a document. */
export interface DescribeOptions {
  /**
   * Makes a JSON Schema of a schema whose library has no Standard JSON Schema, or
   * can't convert it; for valibot, `toJsonSchema` of `@valibot/to-json-schema`. If
   * it throws, the document has `{}`.
   *
   * A method rather than a property, so that TypeScript accepts a function for the
   * schemas of a single library.
   */
  toJsonSchema?(schema: StandardSchema, options: ConversionOptions): object;
}

/**
 * Makes the function for a peer's option `discover`, which describes the peer's
 * methods in an OpenRPC document.
 *
 * The document has every method by the name that finds it. For methods made by
 * `method` it has their declarations; a parameter is `required` if its schema
 * refuses `undefined` or a later one is required. For others it has only the number
 * of parameters before the first one with a default value or a rest parameter.
 *
 * JSON Schemas come from the schema library if it implements Standard JSON Schema
 * (zod 4 and arktype do), else from {@linkcode DescribeOptions.toJsonSchema}; else
 * they are `{}`.
 *
 * ```ts
 * import { method } from "@jsonrpcws/peer";
 * import { describe } from "@jsonrpcws/peer/discovery";
 * import { assertEquals } from "@std/assert";
 * import { toJsonSchema } from "@valibot/to-json-schema";
 * import * as v from "valibot";
 *
 * const discover = describe(
 *   { title: "Calculator", version: "1.0.0" },
 *   { toJsonSchema },
 * );
 * const { methods } = discover({
 *   math: {
 *     sum: method({ params: [v.array(v.number())] }, (terms) => terms.length),
 *   },
 * });
 * assertEquals(methods[0]?.name, "math.sum");
 * assertEquals(methods[0]?.params[0]?.schema, {
 *   type: "array",
 *   items: { type: "number" },
 * });
 * ```
 *
 * @param info The description of the service.
 * @param options The conversion of schemas to JSON Schemas.
 * @returns A function that describes a `local`, once: methods that are added later
 * are not in the document.
 * @see {@link https://spec.open-rpc.org/#service-discovery-method}
 */
export function describe(
  info: Info,
  options: DescribeOptions = {},
): (local: object) => OpenRpcDocument {
  const documents: WeakMap<object, OpenRpcDocument> = new WeakMap();
  return (local) => {
    let document = documents.get(local);
    if (document === undefined) {
      document = describeLocal(info, local, new Schemas(options));
      documents.set(local, document);
    }
    return document;
  };
}

function describeLocal(
  info: Info,
  local: object,
  schemas: Schemas,
): OpenRpcDocument {
  const methods = Array.from(names(local), ([name, fn]) => {
    const declaration = declarationOf(fn);
    return declaration === undefined
      ? describeUndeclared(name, fn.length)
      : describeDeclared(name, fn.length, declaration, schemas);
  });
  return {
    openrpc: "1.3.2",
    info,
    // The specification requires a name of every method.
    methods: methods.filter(({ name }) => name !== ""),
    ...schemas.shared.size === 0
      ? {}
      : { components: { schemas: Object.fromEntries(schemas.shared) } },
  };
}

function describeDeclared(
  name: string,
  length: number,
  declaration: MethodDeclaration,
  schemas: Schemas,
): OpenRpcMethod {
  const { parameters, result, summary, description, deprecated, errors } =
    declaration;
  return {
    ...describeUndeclared(name, length),
    ...parameters === undefined
      ? {}
      : describeParameters(name, parameters, schemas),
    ...result === undefined ? {} : {
      result: {
        name: "result",
        schema: schemas.convert(result, "output", `${name}.result`),
      },
    },
    ...summary === undefined ? {} : { summary },
    ...description === undefined ? {} : { description },
    ...deprecated === undefined ? {} : { deprecated },
    ...errors === undefined ? {} : { errors },
  };
}

/** A method without a declaration. */
function describeUndeclared(name: string, length: number): OpenRpcMethod {
  return {
    name,
    // Params by name would be one argument, an object.
    paramStructure: "by-position",
    params: Array.from(
      { length },
      (_, index) => ({ name: nameAt(index), schema: {} }),
    ),
    result: { name: "result", schema: {} },
  };
}

function describeParameters(
  method: string,
  parameters: readonly Parameter[],
  schemas: Schemas,
): Pick<OpenRpcMethod, "paramStructure" | "params"> {
  // By position, parameters before a required one can't be left out.
  const required = parameters.findLastIndex(({ schema }) =>
    schema !== undefined && isRequired(schema)
  );
  const params = parameters.map(({ name = "", schema }, index) => {
    const known = name === "" ? nameAt(index) : name;
    return {
      name: known,
      required: index <= required,
      schema: schema === undefined
        ? {}
        : schemas.convert(schema, "input", `${method}.${known}`),
    };
  });
  const hasNames = parameters.every(({ name }) => name !== undefined);
  return { paramStructure: hasNames ? "either" : "by-position", params };
}

function nameAt(index: number): string {
  return `param${index + 1}`;
}

/**
 * Whether a schema refuses `undefined`. Tried out, since the standard has no other
 * way to ask.
 */
function isRequired(schema: StandardSchema): boolean {
  try {
    const outcome = schema["~standard"].validate(undefined);
    if ("then" in outcome) {
      // A promise comes too late for a document; passing a parameter is never
      // wrong.
      outcome.then(undefined, () => {});
      return true;
    }
    return Boolean(outcome.issues);
  } catch {
    return true;
  }
}

/** A schema whose library implements Standard JSON Schema. */
interface StandardJsonSchema {
  readonly "~standard": {
    readonly jsonSchema?: {
      readonly [io in "input" | "output"]: (
        options: { readonly target: string },
      ) => object;
    };
  };
}

/** The JSON Schemas of one document. */
class Schemas {
  /** The schemas with references, by the last part of these references. */
  readonly shared: Map<string, JsonSchema> = new Map();

  readonly #options: DescribeOptions;

  constructor(options: DescribeOptions) {
    this.#options = options;
  }

  /** Makes a JSON Schema whose references are valid within the document. */
  convert(
    schema: StandardSchema,
    io: "input" | "output",
    name: string,
  ): JsonSchema {
    try {
      return this.#embed(this.#convert(schema, io), name);
    } catch {
      // JSON Schema can't express everything: a date, for example.
      return {};
    }
  }

  #convert(schema: StandardSchema, io: "input" | "output"): object {
    const target = "draft-07";
    const { jsonSchema } = (schema as StandardJsonSchema)["~standard"];
    try {
      if (jsonSchema !== undefined) return jsonSchema[io]({ target });
    } catch (error) {
      if (this.#options.toJsonSchema === undefined) throw error;
    }
    return this.#options.toJsonSchema?.(schema, { target, io, typeMode: io }) ??
      {};
  }

  /**
   * References are relative to the root, which is the document's now. So a schema
   * with references is moved into the document's components, and its references are
   * rewritten.
   */
  #embed(converted: object, name: string): JsonSchema {
    const path = `#/components/schemas/${this.#free(name)}`;
    let isShared = false;
    const text = JSON.stringify(converted, (key, value: unknown) => {
      const isReference = key === "$ref" && typeof value === "string" &&
        /^#(\/|$)/.test(value);
      if (!isReference) return value;
      isShared = true;
      return path + value.slice(1);
    });
    // The version is allowed only in a root.
    const { $schema: _, ...schema } = JSON.parse(text) as { $schema?: string };
    if (!isShared) return schema;
    this.shared.set(path.slice(path.lastIndexOf("/") + 1), schema);
    return { $ref: path };
  }

  /** An unused name, of the characters that the specification allows. */
  #free(name: string): string {
    const allowed = name.replaceAll(/[^\w.-]/g, "_");
    let free = allowed;
    for (let count = 2; this.shared.has(free); count++) {
      free = `${allowed}_${count}`;
    }
    return free;
  }
}
