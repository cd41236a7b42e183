/**
 * An OpenRPC document of what a peer lets be called: the answer to
 * `rpc.discover`.
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

/** A JSON Schema of draft 7; `{}` where nothing is known. */
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
  /** What there is to say about it, in Markdown. */
  readonly description?: string;
  /** The address of the terms of service. */
  readonly termsOfService?: string;
  /** Whom to ask. */
  readonly contact?: {
    /** The name of a person or an organization. */
    readonly name?: string;
    /** The address of a page. */
    readonly url?: string;
    /** The address for mail. */
    readonly email?: string;
  };
  /** What callers may do with it. */
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
  /** What it looks like. */
  readonly schema: JsonSchema;
}

/**
 * A method.
 *
 * @see {@link https://spec.open-rpc.org/#method-object}
 */
export interface OpenRpcMethod {
  /** The name to call it by. */
  readonly name: string;
  /** One line about it. */
  readonly summary?: string;
  /** What there is to say about it, in Markdown. */
  readonly description?: string;
  /** Whether callers should use something else. Default `false`. */
  readonly deprecated?: boolean;
  /** Whether its params may be given by name too. */
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
  /** What the service is. */
  readonly info: Info;
  /** What may be called. */
  readonly methods: readonly OpenRpcMethod[];
  /** The schemas that refer to themselves or to parts of themselves. */
  readonly components?: {
    /** Each under the name that references to it end in. */
    readonly schemas: { readonly [name: string]: JsonSchema };
  };
}

/**
 * The JSON Schema of a schema that is wanted, in the words of zod's
 * `z.toJSONSchema` and of valibot's `toJsonSchema`.
 */
export interface ConversionOptions {
  /** The version of JSON Schema that OpenRPC uses. */
  readonly target: "draft-07";
  /** The side of the schema: what a caller gives to it, or what it gets. */
  readonly io: "input" | "output";
  /** The same as `io`. */
  readonly typeMode: "input" | "output";
}

/** The options of a document. */
export interface DescribeOptions {
  /**
   * Makes a JSON Schema of a schema whose library has no Standard JSON Schema, or
   * that the library can't convert: `toJsonSchema` of `@valibot/to-json-schema`
   * as it is. If it throws, nothing is known of the schema.
   *
   * A method, so that a function which takes the schemas of one library alone may
   * be given.
   */
  toJsonSchema?(schema: StandardSchema, options: ConversionOptions): object;
}

/**
 * Makes the function for a peer's option `discover`, which describes what may be
 * called in an OpenRPC document.
 *
 * It lists every method by the name that finds it. Of those made by `method` it
 * tells what they were declared with; a parameter is
 * `required` if its schema refuses `undefined` or a later one is required. Of
 * others it knows no more than how many parameters the function names before the
 * first that has a default value or takes the rest.
 *
 * JSON Schemas are the schema library's own where it implements Standard JSON
 * Schema (zod 4 and arktype do), else those of
 * {@linkcode DescribeOptions.toJsonSchema}, else `{}`.
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
 * @param info What the service is.
 * @param options How schemas become JSON Schemas.
 * @returns Describes a `local`, once: methods that are added to it later are not
 * in the document.
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
    // The specification wants every method to have a name.
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

/** A method of which nothing is known but the function. */
function describeUndeclared(name: string, length: number): OpenRpcMethod {
  return {
    name,
    // Params by name would be one argument, the object.
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
  // By position, what precedes a required parameter can't be left out.
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

/** Whether a schema refuses `undefined`: no library tells it in another way. */
function isRequired(schema: StandardSchema): boolean {
  try {
    const outcome = schema["~standard"].validate(undefined);
    if ("then" in outcome) {
      // It would come too late, and to give a parameter is never wrong.
      outcome.then(undefined, () => {});
      return true;
    }
    return Boolean(outcome.issues);
  } catch {
    return true;
  }
}

/** A schema of a library that makes JSON Schemas of its own. */
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
  /** Those that are referred to, by the name that references to them end in. */
  readonly shared: Map<string, JsonSchema> = new Map();

  readonly #options: DescribeOptions;

  constructor(options: DescribeOptions) {
    this.#options = options;
  }

  /** Makes a JSON Schema that means the same within the document. */
  convert(
    schema: StandardSchema,
    io: "input" | "output",
    name: string,
  ): JsonSchema {
    try {
      return this.#embed(this.#convert(schema, io), name);
    } catch {
      // What can't be said in JSON Schema, a date for one, is not known.
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
   * References count from the root, which is the document's now. So a schema
   * that has any moves to where the document keeps such, and they follow.
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
    // The version belongs to a root.
    const { $schema: _, ...schema } = JSON.parse(text) as { $schema?: string };
    if (!isShared) return schema;
    this.shared.set(path.slice(path.lastIndexOf("/") + 1), schema);
    return { $ref: path };
  }

  /** A name of the characters that the specification allows here. */
  #free(name: string): string {
    const allowed = name.replaceAll(/[^\w.-]/g, "_");
    let free = allowed;
    for (let count = 2; this.shared.has(free); count++) {
      free = `${allowed}_${count}`;
    }
    return free;
  }
}
