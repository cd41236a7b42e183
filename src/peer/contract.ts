/**
 * The contract between the two sides, in types: how one side's `local` looks from
 * the other.
 *
 * @module
 */

/**
 * The remote of a peer without a type: any name except an {@linkcode OwnName}, any
 * params.
 */
export type UntypedRemote =
  & { readonly [name: string]: UntypedMethod }
  & { readonly [Name in Exclude<OwnName, ObjectName>]: undefined };

/** A method of the other side with any params, or a group of methods. */
export interface UntypedMethod {
  /** Calls the method. */
  (...params: unknown[]): Promise<unknown>;
  /** A method in the group. */
  readonly [name: string]: UntypedMethod;
}

/** The names of members that every object has. */
export type ObjectName =
  | "hasOwnProperty"
  | "isPrototypeOf"
  | "propertyIsEnumerable"
  | "toLocaleString"
  | "toString"
  | "valueOf"
  | "__defineGetter__"
  | "__defineSetter__"
  | "__lookupGetter__"
  | "__lookupSetter__"
  | "__proto__";

/**
 * The names that are no methods in a {@linkcode Remote} and a
 * {@linkcode RemoteReference}: members of every function are the function's, and
 * names that the language and tools look up in any value are `undefined`. Methods
 * of these names can be called by {@linkcode Peer.request}.
 */
export type OwnName =
  | ObjectName
  | "apply"
  | "arguments"
  | "asymmetricMatch"
  | "bind"
  | "call"
  | "caller"
  | "constructor"
  | "hasAttribute"
  | "inspect"
  | "jasmineToString"
  | "length"
  | "name"
  | "nodeType"
  | "prototype"
  | "tagName"
  | "then"
  | "toJSON"
  | "_isMockFunction"
  | "_$litType$"
  | "__esModule"
  | `__v_${string}`
  | `@@${string}`
  | `$$${string}`;

/**
 * The other side's `local` as it looks from here: each function returns a promise
 * or a {@linkcode RemoteStream}; each nested object is a group, with dotted names.
 * An optional method can be called; if it is missing, the call rejects with -32601.
 */
export type Remote<Theirs> = unknown extends Theirs ? UntypedRemote : {
  readonly [
    Name in keyof Theirs as Name extends symbol ? never
      : NonNullable<Theirs[Name]> extends object ? Name
      : never
  ]-?: Name extends OwnName ? CannotTravel<
      "The name is one of every function's, or a probe's: use request()"
    >
    : RemoteMember<NonNullable<Theirs[Name]>>;
};

/** A member of a {@linkcode Remote}: a method, or a group of methods. */
export type RemoteMember<Member> = Member extends
  (...params: infer Params) => infer Result
  ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
  : IsInstance<Member> extends true
    ? CannotTravel<"An instance is no group of methods: list them">
  : Remote<Member>;

/** The value that a call returns to its caller: a promise or a stream. */
export type RemoteResult<Result> = IsAny<Result> extends true ? Promise<Result>
  : [Result] extends [never] ? Promise<never>
  : [Result] extends [AsyncIterable<infer Value> | ReadableStream<infer Value>]
    ? RemoteStream<RemoteStreamItem<Value>>
  : Promise<RemoteItem<Result>>;

/**
 * A stream of the other side. It can be iterated directly; awaiting it first tells
 * whether the call succeeded, and gives an iterable of the same values.
 */
export type RemoteStream<Value> =
  & AsyncIterable<Value>
  & PromiseLike<AsyncIterable<Value>>;

/**
 * A result, or an item of a stream or an array, as it arrives: `undefined` is
 * written as null.
 */
export type RemoteItem<Value> = Value extends undefined ? null
  : RemoteValue<Value>;

/** An item of a stream as it arrives; it can't hold functions. */
export type RemoteStreamItem<Value> = IsAny<Value> extends true ? Value
  : unknown extends Value ? Value
  : Value extends Marshaled<unknown> | ((...params: never[]) => unknown)
    ? CannotTravel<"A stream carries no functions: lend them by a method">
  : RemoteItem<Value>;

/**
 * A value as it arrives. JSON stays as it is; functions and marked objects become
 * references; a value with toJSON, as a Date, becomes what that returns; what JSON
 * can't express is a {@linkcode CannotTravel}.
 */
export type RemoteValue<Value> = IsAny<Value> extends true ? Value
  : unknown extends Value ? Value
  : Value extends Scalar | Json ? Value
  : Value extends bigint | symbol ? CannotTravel<"JSON has no bigint or symbol">
  : Value extends Marshaled<infer Target> ? RemoteReference<Target>
  : Value extends (...params: never[]) => unknown ? RemoteReference<Value>
  : Value extends { toJSON(...params: never[]): infer Written }
    ? RemoteValue<Written>
  : Value extends readonly unknown[] ? RemoteItems<Value>
  : IsError<Value> extends true
    ? CannotTravel<"An Error arrives as {}: throw an RpcError">
  : Value extends Unwritable
    ? CannotTravel<"JSON has no Map, Set or bytes: return an array or a string">
  : HasMethod<Value> extends true
    ? CannotTravel<"An object with methods must be marked with marshal()">
  : { [Name in keyof Value]: RemoteValue<Value[Name]> };

// Arrays are mapped by their item type: the compiler resolves that lazily, while a
// mapped type of an array that contains itself would never end.

/** An array or a tuple as it arrives. */
export type RemoteItems<Values extends readonly unknown[]> =
  Values[number][] extends Values
    ? Values extends unknown[] ? RemoteItem<Values[number]>[]
    : readonly RemoteItem<Values[number]>[]
    : { [Index in keyof Values]: RemoteItem<Required<Values>[Index]> };

/**
 * The method by which something is released; `using` calls it.
 *
 * Not the global `Disposable`: where the type library has no `Symbol.dispose`, that
 * would be `any`, and so would every param.
 */
export type Releasable = {
  [
    Key in SymbolConstructor extends { readonly dispose: infer Dispose }
      ? Dispose & symbol
      : never
  ]: () => void;
};

/**
 * The method by which something is closed and awaited; `await using` calls it. See
 * {@linkcode Releasable}.
 */
export type AsyncReleasable = {
  [
    Key in SymbolConstructor extends { readonly asyncDispose: infer Dispose }
      ? Dispose & symbol
      : never
  ]: () => Promise<void>;
};

/**
 * A function or an object of the other side, which can be called until it is
 * disposed of.
 */
export type RemoteReference<Target> =
  & Releasable
  & (Target extends (...params: infer Params) => infer Result
    ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
    : Remote<Target>);

/** An object that is passed by reference; made by {@linkcode marshal}. */
export interface Marshaled<Target> extends Releasable {
  /** The object that it stands for. */
  readonly target: Target;
}

/**
 * The arguments that a caller may pass; see {@linkcode RemoteParam}. After one that
 * is left out or `undefined` there can be no other, because in the middle it would
 * arrive as null.
 */
export type RemoteParams<Params extends readonly unknown[]> = number extends
  Params["length"] ? PassedParams<Params>
  : HasGap<Params, Required<Params>> extends true
    ? PassedPrefix<Params, Required<Params>>
  : PassedParams<Params>;

/** Each argument in the type that a caller may pass. */
export type PassedParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Params[Index]>;
};

/** `true` if an argument that is not the last may be `undefined`. */
export type HasGap<
  Params extends readonly unknown[],
  All extends readonly unknown[],
> = All extends readonly [...infer Before, unknown]
  ? undefined extends Params[keyof Before & keyof Params & `${number}`] ? true
  : false
  : false;

/**
 * The arguments up to any of them; only the last one of these may be `undefined`.
 *
 * @typeParam Some The first arguments, none of them optional.
 */
export type PassedPrefix<
  Params extends readonly unknown[],
  Some extends readonly unknown[],
> = Some extends readonly [...infer Before, unknown]
  ? Some extends readonly [...Before, ...infer Last] ? Before extends Params ?
        | [...DefiniteParams<Before>, ...OptionalParams<Last>]
        | PassedPrefix<Params, Before>
    : [...DefiniteParams<Before>, ...PassedParams<Last>]
  : never
  : [];

/** Arguments, each of which may be left out or `undefined`. */
export type OptionalParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]?: RemoteParam<Params[Index]> | undefined;
};

/** Arguments, none of which is `undefined`. */
export type DefiniteParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Exclude<Params[Index], undefined>>;
};

/**
 * An argument that a caller may pass for a parameter: any async iterable or
 * ReadableStream for a stream, a function that returns a value or a promise for a
 * callback, a marked object for a reference, JSON for itself; and a
 * {@linkcode CannotTravel} for anything that would not arrive as the parameter's
 * type.
 */
export type RemoteParam<Param> = IsAny<Param> extends true ? Param
  : unknown extends Param ? Param
  : Param extends Scalar | Json ? Param
  : Param extends bigint | symbol ? CannotTravel<"JSON has no bigint or symbol">
  : Param extends AsyncIterable<infer Value> | ReadableStream<infer Value>
    ? PassedStream<RemoteMemberParam<Exclude<Value, undefined>>>
  : Param extends RemoteReference<infer Target> ? Marshaled<Target> | Param
  : Param extends (...params: infer Params) => infer Result
    ? (...params: Params) => Awaited<Result> | Promise<Awaited<Result>>
  : RemoteMemberParam<Param>;

/** A stream that a caller may pass. */
export type PassedStream<Value> = AsyncIterable<Value> | ReadableStream<Value>;

/** A value within an argument, in the type that a caller may pass. */
export type RemoteMemberParam<Param> = IsAny<Param> extends true ? Param
  : unknown extends Param ? Param
  : Param extends Scalar | Json ? Param
  : Param extends bigint | symbol ? CannotTravel<"JSON has no bigint or symbol">
  : Param extends RemoteReference<infer Target> ? Marshaled<Target> | Param
  : Param extends readonly unknown[] ? RemoteItemParams<Param>
  : IsError<Param> extends true ? CannotTravel<"An Error arrives as {}">
  : Param extends (...params: never[]) => unknown ? CannotTravel<
      "A function in an argument must be marked with marshal()"
    >
  : Param extends { toJSON(...params: never[]): unknown } ? CannotTravel<
      "What has a toJSON, as a Date, arrives as what that returns: take that"
    >
  : Param extends Unwritable
    ? CannotTravel<"JSON has no Map, Set or bytes: take an array or a string">
  : { [Name in keyof Param]: RemoteMemberParam<Param[Name]> };

/**
 * An array or a tuple in an argument, without `undefined`, which would arrive as
 * null.
 */
export type RemoteItemParams<Params extends readonly unknown[]> =
  Params[number][] extends Params
    ? Params extends unknown[]
      ? RemoteMemberParam<Exclude<Params[number], undefined>>[]
    : readonly RemoteMemberParam<Exclude<Params[number], undefined>>[]
    : {
      [Index in keyof Params]: RemoteMemberParam<
        Exclude<Params[Index], undefined>
      >;
    };

/** The names of the methods of a `local`; methods in groups have dotted names. */
export type MethodName<Theirs> = unknown extends Theirs ? never : {
  [Name in keyof Theirs & string]-?: NonNullable<Theirs[Name]> extends
    (...params: never[]) => unknown ? Name
    : NonNullable<Theirs[Name]> extends object
      ? IsInstance<NonNullable<Theirs[Name]>> extends true ? never
      : `${Name}.${MethodName<NonNullable<Theirs[Name]>>}`
    : never;
}[keyof Theirs & string];

/** A name that the type of the other side doesn't have. */
export type OtherName<Name extends string, Theirs> = Name extends
  MethodName<Theirs> ? never : Name;

/** The type of the method of this name. */
export type MethodOf<Theirs, Name> = Name extends keyof Theirs
  ? NonNullable<Theirs[Name]>
  : Name extends `${infer Group}.${infer Rest}`
    ? Group extends keyof Theirs ? MethodOf<NonNullable<Theirs[Group]>, Rest>
    : never
  : never;

/** The params of a method: an array by position, or an object by name. */
export type ParamsOf<Method> = Method extends
  (...params: infer Params) => unknown
  ? RemoteParams<Params> extends infer Given ? Given | ParamsByName<Given>
  : never
  : never;

/** The result of a method. */
export type ResultOf<Method> = Method extends
  (...params: never[]) => infer Result ? Awaited<RemoteResult<Awaited<Result>>>
  : never;

/**
 * Params by name. For a method with a single object as its parameter they are that
 * object; for others the compiler doesn't know the names.
 */
export type ParamsByName<Params> = Params extends readonly [] ? never
  : Params extends readonly [infer Only extends object]
    ? Only extends readonly unknown[] ? never : Only
  : { readonly [name: string]: unknown };

/**
 * The type of a value that can't be sent: nothing can be assigned to it, and the
 * compiler's error shows the reason.
 */
export interface CannotTravel<Why extends string> {
  /** The reason. */
  readonly cannotTravel: Why;
}

/**
 * The arguments behind a method's name: its params, optional if all of them are,
 * and then the rest.
 */
export type ParamsFor<Method, Rest extends unknown[] = []> = [] extends
  ParamsOf<Method> ? [params?: ParamsOf<Method>, ...Rest]
  : [params: ParamsOf<Method>, ...Rest];

/** The scalars of JSON, and the values that are written as null. */
export type Scalar = string | number | boolean | null | undefined | void;

/** Any JSON value; in an object, members may be `undefined`, which are left out. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** Objects that JSON writes as `{}`, or as an object of numbers. */
export type Unwritable =
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | ArrayBufferView
  | ArrayBuffer;

/** `true` for the type `any`, which is passed on as it is. */
export type IsAny<Type> = 0 extends 1 & Type ? true : false;

/** `true` for an object with members that are functions. */
export type HasMethod<Type> = true extends {
  [Name in keyof Type]-?: NonNullable<Type[Name]> extends
    (...params: never[]) => unknown ? true : never;
}[keyof Type] ? true
  : false;

/** `true` for an Error, whose message JSON doesn't write. */
export type IsError<Type> = Type extends Error
  // By all members of Error, so that a plain `{ name, message }` is none.
  ? keyof Error extends keyof Type ? true : false
  : false;

/**
 * `true` for a type that can only be a class instance: it has private members or
 * symbols.
 */
export type IsInstance<Type> = keyof Type & symbol extends never
  ? { [Name in keyof Type]: Type[Name] } extends Type ? false : true
  : true;
