/**
 * Methods whose params and result are validated at run time, by schemas of any
 * library that implements Standard Schema.
 *
 * ```ts
 * import { method, Peer, RpcError } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import * as z from "zod";
 *
 * const [left, right] = socketPair();
 * const local = {
 *   subtract: method({
 *     params: { minuend: z.number(), subtrahend: z.number() },
 *     result: z.number(),
 *   }, (minuend, subtrahend) => minuend - subtrahend),
 * };
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * assertEquals(await client.remote.subtract(42, 23), 19);
 * const params = { subtrahend: 23, minuend: 42 };
 * assertEquals(await client.request("subtract", params), 19);
 * await assertRejects(
 *   () => client.request<unknown>("subtract", [42, "23"]),
 *   RpcError,
 *   "Invalid params: subtrahend: ",
 * );
 * ```
 *
 * @see {@link https://standardschema.dev}
 *
 * @module
 */

import { ErrorCode, type ErrorObject, RpcError } from "../wire/error.ts";
import { arrangers, originals, plains, takesPlain } from "../peer/methods.ts";
import type { Peer } from "../presets/everything.ts";

/**
 * A schema of any library that implements Standard Schema: zod from 3.24,
 * valibot from 1.0, arktype from 2.0, and others.
 *
 * @typeParam Input The type that is validated.
 * @typeParam Output The type that the schema turns it into.
 * @see {@link https://standardschema.dev}
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The member that the standard defines. */
  readonly "~standard": {
    /** The version of the standard. */
    readonly version: 1;
    /** The library's name. */
    readonly vendor: string;
    /** Validates a value; may return a promise. */
    readonly validate: (
      value: unknown,
    ) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** The types; absent at run time. */
    readonly types?:
      | { readonly input: Input; readonly output: Output }
      | undefined;
  };
}

/** The outcome of a validation: the output value, or issues. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One problem with a value, in the form of the standard. */
export interface SchemaIssue {
  /** A description of the problem. */
  readonly message: string;
  /** The path to the problem: keys, or objects with a key. */
  readonly path?:
    | readonly (PropertyKey | { readonly key: PropertyKey })[]
    | undefined;
}

/** One problem with the params, in the form that the caller gets. */
export interface Issue {
  /** A description of the problem. */
  readonly message: string;
  /**
   * The path to the problem: the parameter's name or position, then keys within it.
   */
  readonly path: readonly (string | number)[];
}

/** The type that a caller passes to a schema. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["input"];

/** The type that a method gets of a schema. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["output"];

/**
 * The schemas of a method's parameters, in their order:
 *
 * - `{ minuend: schema, subtrahend: schema }`: passed by position or by name.
 * TypeScript doesn't know the order of an object's members, so each parameter has
 * the union of their types.
 * - `[{ name: schema }, { age: schema }]`: the same, but each parameter has the
 * type of its own schema.
 * - `[schema, schema]`: passed by position only.
 */
export type ParameterSchemas =
  | { readonly [name: string]: StandardSchema }
  | readonly { readonly [name: string]: StandardSchema }[]
  | readonly StandardSchema[];

/** The declaration of a method. Every member may be left out. */
export interface Declaration<
  Params = ParameterSchemas | readonly string[] | undefined,
  Result = StandardSchema | undefined,
> {
  /**
   * The parameters: their schemas, see {@linkcode ParameterSchemas}, or only their
   * names, `["minuend", "subtrahend"]`, without validation. Default: any params by
   * position.
   */
  readonly params?: Params;
  /**
   * The schema of the result, whose output the caller gets. Default: any result.
   */
  readonly result?: Result;
  /** One line about the method. */
  readonly summary?: string;
  /** A description of the method, in Markdown. */
  readonly description?: string;
  /** The errors that the method throws, each code once. */
  readonly errors?: readonly ErrorObject[];
  /** Whether callers should use another method instead. Default `false`. */
  readonly deprecated?: boolean;
}

/**
 * The method that a declaration makes. It returns a promise if a schema or the
 * function does.
 */
export type DeclaredMethod<Params extends readonly unknown[], Result> = (
  ...params: Params
) => Result | Promise<Result>;

/** The arguments that a caller may pass to a method with these schemas. */
export type SchemaInputs<Params extends ParameterSchemas> = OptionalTail<
  Params extends readonly unknown[] ? {
      -readonly [Index in keyof Params]: SchemaInput<SchemaOf<Params[Index]>>;
    }
    : Repeat<keyof Params, SchemaInput<SchemaOf<Params>>>
>;

/** The arguments that a function gets from these schemas. */
export type SchemaOutputs<Params extends ParameterSchemas> = Params extends
  readonly unknown[]
  ? { -readonly [Index in keyof Params]: SchemaOutput<SchemaOf<Params[Index]>> }
  : Repeat<keyof Params, SchemaOutput<SchemaOf<Params>>>;

/** A schema, or the schemas among an object's members. */
export type SchemaOf<Entry> = Entry extends StandardSchema ? Entry
  : Extract<Entry[keyof Entry], StandardSchema>;

/** A tuple of a type, as long as there are names. */
export type Repeat<Names, Type, Types extends unknown[] = []> = [Names] extends
  [never] ? Types
  : Repeat<Exclude<Names, AnyOf<Names>>, Type, [...Types, Type]>;

/** One member of a union, which one is not defined: good only for counting. */
export type AnyOf<Union> =
  (Union extends unknown ? (member: () => Union) => void : never) extends
    (member: infer Members) => void
    ? Members extends () => infer Member ? Member : never
    : never;

/** The same tuple, whose last types are optional if they include `undefined`. */
export type OptionalTail<Types extends unknown[]> = Types extends
  [...infer Head, infer Last]
  ? undefined extends Last ? [...OptionalTail<Head>, Last?] : Types
  : Types;

/**
 * The type that a function may return: the input of the result's schema, or a
 * promise of it.
 */
export type Returnable<Result> = Result extends StandardSchema
  ? Widened<SchemaInput<Result>> | PromiseLike<Widened<SchemaInput<Result>>>
  : unknown;

/**
 * A type without literals. While TypeScript infers a function's type, it takes
 * `{ kind: "a" }` for `{ kind: string }`; the schema checks the value.
 */
export type Widened<Type> = Type extends string ? string
  : Type extends number ? number
  : Type extends boolean ? boolean
  : Type extends object ? { [Key in keyof Type]: Widened<Type[Key]> }
  : Type;

/** The type that a caller gets for the return type of a function. */
export type DeclaredResult<Result, Return> = Result extends StandardSchema
  ? SchemaOutput<Result>
  : Awaited<Return>;

// Most issues that a caller is told: a million wrong elements must not make a
// million issues.
const maxIssues = 32;

const declarations: WeakMap<object, MethodDeclaration> = new WeakMap();

/**
 * Declares a method of `local`: its params and its result are validated, and
 * `describe` of `@jsonrpcws/peer/discovery` can describe it.
 *
 * The function gets the output of each parameter's schema; a missing argument is
 * passed to its schema as `undefined`. If params don't fit, or there are too many,
 * the function is not called, and the caller gets an {@linkcode RpcError} -32602
 * "Invalid params" with the first 32 issues in its `data` (see {@linkcode Issue}).
 * If the result doesn't fit, `onerror` is told, and the caller gets "Internal
 * error".
 *
 * The method is synchronous if the schemas and the function are. (An asynchronous
 * function in a schema of zod must not reject: zod 4 calls it twice, and the first
 * rejection is unhandled, which ends the process.)
 *
 * The function has the method's `this`: in a definition the peer. It may read
 * `this.call` unless a parameter's schema is asynchronous. In a class, write an
 * arrow function.
 *
 * ```ts
 * import { method, RpcError } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import * as z from "zod";
 *
 * const local = {
 *   greet: method({
 *     params: [{ name: z.string() }, { times: z.number().default(1) }],
 *     result: z.string(),
 *   }, function (name, times) {
 *     return `${this.call.method} ${name} `.repeat(times);
 *   }),
 * };
 * await using server = serve({ local, port: 0, onListen() {} });
 * await using client = connect<typeof local>(server.url);
 *
 * assertEquals(await client.remote.greet("ann"), "greet ann ");
 * const error = await assertRejects(
 *   () => client.request("greet", { name: 5 }),
 *   RpcError,
 * );
 * assertEquals(error.code, -32602);
 * ```
 *
 * @param declaration The schemas of the parameters and of the result, and a
 * description.
 * @param fn Takes the outputs of the parameters' schemas, and returns the input of
 * the result's schema.
 * @throws {TypeError} A value in the place of a schema is none.
 * @see {@link https://standardschema.dev}
 */
export function method<
  const Params extends ParameterSchemas,
  Return extends Returnable<Result>,
  Result extends StandardSchema | undefined = undefined,
  This = Peer,
>(
  declaration: Declaration<Params, Result> & { readonly params: Params },
  fn: (this: This, ...params: SchemaOutputs<Params>) => Return,
): DeclaredMethod<SchemaInputs<Params>, DeclaredResult<Result, Return>>;
/**
 * Declares a method of `local` without validation of its params; its result may be
 * validated.
 *
 * ```ts
 * import { method, Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const subtract = method(
 *   { params: ["minuend", "subtrahend"] },
 *   (minuend: number, subtrahend: number) => minuend - subtrahend,
 * );
 * await using server = new Peer(left, { local: { subtract } });
 * await using client = new Peer(right);
 *
 * const params = { subtrahend: 23, minuend: 42 };
 * assertEquals(await client.request("subtract", params), 19);
 * ```
 *
 * @param declaration The parameters' names, if they may be passed by name; the
 * schema of the result; a description.
 * @param fn Takes the arguments as they come, and returns the input of the result's
 * schema.
 * @throws {TypeError} A value in the place of a schema is none.
 */
export function method<
  Params extends unknown[],
  Return extends Returnable<Result>,
  Result extends StandardSchema | undefined = undefined,
  This = Peer,
>(
  declaration: Declaration<readonly string[], Result>,
  fn: (this: This, ...params: Params) => Return,
): DeclaredMethod<Params, DeclaredResult<Result, Return>>;
export function method(
  declaration: Declaration,
  fn: (this: unknown, ...params: unknown[]) => unknown,
): (...params: unknown[]) => unknown {
  const { params, ...described } = declaration;
  const parameters = readParameters(params);
  const { result } = described;
  if (result !== undefined) checkSchema("result", result);

  function declared(this: unknown, ...params: unknown[]): unknown {
    const args = takeParams(parameters, params);
    const returned = isThenable(args)
      ? args.then((args) => fn.apply(this, args))
      : fn.apply(this, args);
    if (result === undefined) return returned;
    return isThenable(returned)
      ? Promise.resolve(returned).then((value) => takeResult(result, value))
      : takeResult(result, returned);
  }

  const length = parameters?.length ?? fn.length;
  Object.defineProperty(declared, "length", { value: length });
  declarations.set(declared, { ...described, parameters });
  if (takesPlain(fn)) plains.add(declared);
  const names = parameters?.map(({ name }) => name);
  if (names?.every((name) => typeof name === "string")) {
    arrangers.set(declared, (params) => arrange(names, params));
  }
  return declared;
}

/**
 * Makes arguments of params by name, in the order of the parameters.
 *
 * @throws {RpcError} -32602: there is no parameter of a given name.
 */
function arrange(names: readonly string[], params: object): unknown[] {
  const unknown = Object.keys(params).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new RpcError(
      ErrorCode.InvalidParams,
      `Invalid params: unknown parameter "${
        unknown.slice(0, 64)
      }", expected ${names.join()}`,
    );
  }
  return names.map((name) =>
    Object.hasOwn(params, name)
      ? (params as { [name: string]: unknown })[name]
      : undefined
  );
}

/**
 * The declaration of a method; `undefined` if it was not made by
 * {@linkcode method}.
 *
 * @param fn A function of `local`.
 */
export function declarationOf(fn: object): MethodDeclaration | undefined {
  return declarations.get(originals.get(fn) ?? fn);
}

/** A method's declaration, with its parameters in one form. */
export interface MethodDeclaration extends Omit<Declaration, "params"> {
  /** The parameters in their order; `undefined` if they were not declared. */
  readonly parameters: readonly Parameter[] | undefined;
}

/** A parameter of a declared method. */
export interface Parameter {
  /** Its name; `undefined` if it is passed by position only. */
  readonly name: string | undefined;
  /** Its schema; `undefined` if it is not validated. */
  readonly schema: StandardSchema | undefined;
}

function readParameters(
  params: Declaration["params"],
): Parameter[] | undefined {
  if (params === undefined) return undefined;
  const parameters = Array.isArray(params)
    ? (params as readonly unknown[]).map(readEntry)
    : Object.entries(params).map(([name, schema]) => readNamed(name, schema));
  checkNames(parameters, Array.isArray(params));
  return parameters;
}

function readEntry(entry: unknown, index: number): Parameter {
  if (typeof entry === "string") return { name: entry, schema: undefined };
  if (isSchema(entry)) return { name: undefined, schema: entry };
  const members = Object.entries((entry ?? {}) as object);
  if (members.length !== 1) {
    throw new TypeError(
      `Cannot declare method: params[${index}] has ${members.length} members, expected a schema, a name, or an object of one name and its schema`,
    );
  }
  return readNamed(...members[0]!);
}

function readNamed(name: string, schema: unknown): Parameter {
  checkSchema(`params.${name}`, schema);
  return { name, schema };
}

function checkNames(parameters: readonly Parameter[], isList: boolean): void {
  const names = parameters.flatMap(({ name }) => name ?? []);
  const validated = parameters.filter(({ schema }) => schema !== undefined);
  const isMixed = (length: number): boolean =>
    length !== 0 && length !== parameters.length;
  if (isMixed(names.length) || isMixed(validated.length)) {
    throw new TypeError(
      "Cannot declare method: params are of several forms, expected all schemas, all names, or all both",
    );
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new TypeError(
      `Cannot declare method: there are two parameters "${twice}", expected one of a name`,
    );
  }
  // An object's members come in the order they were written in, except these.
  const number = isList || names.length < 2
    ? undefined
    : names.find((name) => /^(0|[1-9]\d*)$/.test(name));
  if (number !== undefined) {
    throw new TypeError(
      `Cannot declare method: parameter "${number}" of an object has no place among the others, expected a list`,
    );
  }
}

function checkSchema(
  what: string,
  schema: unknown,
): asserts schema is StandardSchema {
  if (isSchema(schema)) return;
  throw new TypeError(
    `Cannot declare method: ${what} is no schema, expected one that implements Standard Schema`,
  );
}

function isSchema(value: unknown): value is StandardSchema {
  // Some libraries' schemas are functions.
  const isHolder = typeof value === "object" && value !== null ||
    typeof value === "function";
  if (!isHolder) return false;
  const standard = (value as { "~standard"?: { validate?: unknown } })[
    "~standard"
  ];
  return typeof standard?.validate === "function";
}

/**
 * Validates the params, and makes the function's arguments.
 *
 * @throws {RpcError} -32602: they don't fit.
 */
function takeParams(
  parameters: readonly Parameter[] | undefined,
  params: unknown[],
): unknown[] | Promise<unknown[]> {
  if (parameters === undefined) return params;
  if (params.length > parameters.length) {
    throw new RpcError(
      ErrorCode.InvalidParams,
      `Invalid params: got ${params.length}, expected at most ${parameters.length}`,
    );
  }
  const outcomes: (SchemaResult<unknown> | Promise<SchemaResult<unknown>>)[] =
    [];
  for (const [index, { schema }] of parameters.entries()) {
    const value = params[index];
    const outcome = schema?.["~standard"].validate(value) ?? { value };
    // Caught, because if the next schema throws, this rejection is unhandled.
    if (isThenable(outcome)) outcome.then(undefined, () => {});
    outcomes.push(outcome);
  }
  return outcomes.some(isThenable)
    ? Promise.all(outcomes).then((outcomes) =>
      readOutcomes(parameters, outcomes)
    )
    : readOutcomes(parameters, outcomes as SchemaResult<unknown>[]);
}

function readOutcomes(
  parameters: readonly Parameter[],
  outcomes: readonly SchemaResult<unknown>[],
): unknown[] {
  const issues: Issue[] = [];
  const values = outcomes.map((outcome, index) => {
    // The standard says falsy, rather than absent.
    if (!outcome.issues) return outcome.value;
    const place = parameters[index]!.name ?? index;
    for (const issue of outcome.issues) {
      if (issues.length === maxIssues) break;
      issues.push(readIssue(issue, [place]));
    }
  });
  if (issues.length > 0) {
    throw new RpcError(
      ErrorCode.InvalidParams,
      `Invalid params: ${writeIssue(issues[0]!)}`,
      issues,
    );
  }
  return values;
}

function takeResult(schema: StandardSchema, value: unknown): unknown {
  const outcome = schema["~standard"].validate(value);
  return isThenable(outcome) ? outcome.then(readResult) : readResult(outcome);
}

function readResult(outcome: SchemaResult<unknown>): unknown {
  if (!outcome.issues) return outcome.value;
  const issues = Array.from(outcome.issues, (issue) => readIssue(issue, []));
  throw new TypeError(
    `Cannot answer: the result does not fit its schema: ${
      issues.slice(0, maxIssues).map(writeIssue).join("; ")
    }`,
    { cause: issues },
  );
}

function readIssue(
  { message, path = [] }: SchemaIssue,
  place: readonly (string | number)[],
): Issue {
  // Not map, because a library's array may be of a class that map can't construct.
  const keys = Array.from(path, (segment) => {
    const key = typeof segment === "object" ? segment.key : segment;
    return typeof key === "number" ? key : String(key);
  });
  return { message, path: [...place, ...keys] };
}

function writeIssue({ message, path }: Issue): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
