/**
 * The contract between the two sides, in types alone: how one side's `local`
 * looks from the other side.
 *
 * @module
 */

/**
 * The remote of a peer whose type was not told: any name but an
 * {@linkcode OwnName}, any params.
 */
export type UntypedRemote =
  & { readonly [name: string]: UntypedMethod }
  & { readonly [Name in Exclude<OwnName, ObjectName>]: undefined };

/** A method of the other side's, of any name and params, or a group of methods. */
export interface UntypedMethod {
  /** Calls it. */
  (...params: unknown[]): Promise<unknown>;
  /** A method in the group. */
  readonly [name: string]: UntypedMethod;
}

/** The names that every object has. */
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
 * The names that are no method's, in a {@linkcode Remote} and a
 * {@linkcode RemoteReference}: those that every function has are the function's,
 * those that the language and tools look up in any value are `undefined`. Methods
 * of these names are within reach of {@linkcode Peer.request}.
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
 * The other side's `local` as it looks from here: each function returns a
 * promise, or a {@linkcode RemoteStream}; each nested object is a group of dotted
 * names. A method that may be left out can be called, and rejects with -32601
 * where it is.
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

/** The value that a call has for its caller. */
export type RemoteResult<Result> = IsAny<Result> extends true ? Promise<Result>
  : [Result] extends [never] ? Promise<never>
  : [Result] extends [AsyncIterable<infer Value> | ReadableStream<infer Value>]
    ? RemoteStream<RemoteStreamItem<Value>>
  : Promise<RemoteItem<Result>>;

/**
 * A stream of the other side's. It is iterated directly; awaiting it first tells
 * whether the call succeeded, and gives the same values.
 */
export type RemoteStream<Value> =
  & AsyncIterable<Value>
  & PromiseLike<AsyncIterable<Value>>;

/**
 * A result, an item of a stream or of an array, as it arrives: there `undefined` is
 * written as null. What a method that returns nothing returns is nobody's to read.
 */
export type RemoteItem<Value> = Value extends undefined ? null
  : RemoteValue<Value>;

/** An item of a stream as it arrives: by itself, it lends nothing. */
export type RemoteStreamItem<Value> = IsAny<Value> extends true ? Value
  : unknown extends Value ? Value
  : Value extends Marshaled<unknown> | ((...params: never[]) => unknown)
    ? CannotTravel<"A stream carries no functions: lend them by a method">
  : RemoteItem<Value>;

/**
 * A value as it arrives: what is JSON as it is; functions and marked objects can be
 * called, what writes itself as something else (a Date) is that, and what JSON
 * can't say is a {@linkcode CannotTravel}.
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

// An array is written as one, which the compiler looks into when it has to: a
// mapped type of it, at once, without end where it holds itself.

/** An array or a tuple as it arrives. */
export type RemoteItems<Values extends readonly unknown[]> =
  Values[number][] extends Values
    ? Values extends unknown[] ? RemoteItem<Values[number]>[]
    : readonly RemoteItem<Values[number]>[]
    : { [Index in keyof Values]: RemoteItem<Required<Values>[Index]> };

/**
 * The method by which something is let go of, and `using` does it.
 *
 * An interface of our own: where the library of types has no `Symbol.dispose`,
 * the global `Disposable` would be `any`, and every param with it.
 */
export type Releasable = {
  [
    Key in SymbolConstructor extends { readonly dispose: infer Dispose }
      ? Dispose & symbol
      : never
  ]: () => void;
};

/**
 * The method by which something is closed and waited for, and `await using` does
 * it; see {@linkcode Releasable}.
 */
export type AsyncReleasable = {
  [
    Key in SymbolConstructor extends { readonly asyncDispose: infer Dispose }
      ? Dispose & symbol
      : never
  ]: () => Promise<void>;
};

/** A function or an object of the other side's, until it is disposed of. */
export type RemoteReference<Target> =
  & Releasable
  & (Target extends (...params: infer Params) => infer Result
    ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
    : Remote<Target>);

/** An object that is passed by reference; made by {@linkcode marshal}. */
export interface Marshaled<Target> extends Releasable {
  /** What it stands for. */
  readonly target: Target;
}

/**
 * The arguments that a caller may pass; see {@linkcode RemoteParam}. One that is
 * left out, or `undefined`, has none behind it: in the middle it would arrive as
 * null.
 */
export type RemoteParams<Params extends readonly unknown[]> = number extends
  Params["length"] ? PassedParams<Params>
  : HasGap<Params, Required<Params>> extends true
    ? PassedPrefix<Params, Required<Params>>
  : PassedParams<Params>;

/** Each argument as a caller may pass it. */
export type PassedParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Params[Index]>;
};

/** `true` where an argument that has others behind it may be `undefined`. */
export type HasGap<
  Params extends readonly unknown[],
  All extends readonly unknown[],
> = All extends readonly [...infer Before, unknown]
  ? undefined extends Params[keyof Before & keyof Params & `${number}`] ? true
  : false
  : false;

/**
 * Some of the arguments, from the first one on, or all: only the last of these may
 * be `undefined`.
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

/** Arguments each of which may be left out, or `undefined`. */
export type OptionalParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]?: RemoteParam<Params[Index]> | undefined;
};

/** Arguments none of which is `undefined`. */
export type DefiniteParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Exclude<Params[Index], undefined>>;
};

/**
 * An argument that a caller may pass for a parameter: for a stream anything that
 * is one, for a function that is called back one that answers now or later, for a
 * reference what it was made of, for what is JSON itself; for what would not arrive
 * as the parameter says a {@linkcode CannotTravel}.
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

/** What stands in an argument, as a caller may pass it. */
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

/** An array or a tuple in an argument: what is `undefined` would arrive as null. */
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

/** The names of the methods of a `local`, those in groups with dots. */
export type MethodName<Theirs> = unknown extends Theirs ? never : {
  [Name in keyof Theirs & string]-?: NonNullable<Theirs[Name]> extends
    (...params: never[]) => unknown ? Name
    : NonNullable<Theirs[Name]> extends object
      ? IsInstance<NonNullable<Theirs[Name]>> extends true ? never
      : `${Name}.${MethodName<NonNullable<Theirs[Name]>>}`
    : never;
}[keyof Theirs & string];

/** A name, unless the type of the other side knows it. */
export type OtherName<Name extends string, Theirs> = Name extends
  MethodName<Theirs> ? never : Name;

/** The method of that name. */
export type MethodOf<Theirs, Name> = Name extends keyof Theirs
  ? NonNullable<Theirs[Name]>
  : Name extends `${infer Group}.${infer Rest}`
    ? Group extends keyof Theirs ? MethodOf<NonNullable<Theirs[Group]>, Rest>
    : never
  : never;

/**
 * The params of a method: by position or, as an object, by name. Where all may be
 * left out, so may they.
 */
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
 * Params by name: one object is the only argument itself, several have names at
 * run time alone.
 */
export type ParamsByName<Params> = Params extends readonly [] ? never
  : Params extends readonly [infer Only extends object]
    ? Only extends readonly unknown[] ? never : Only
  : { readonly [name: string]: unknown };

/**
 * Stands where something can't be sent, and says why: nothing can be given for
 * it, and nothing be done with it.
 */
export interface CannotTravel<Why extends string> {
  /** Why. */
  readonly cannotTravel: Why;
}

/**
 * The arguments that follow a method's name: its params, if any are required, and
 * then the rest.
 */
export type ParamsFor<Method, Rest extends unknown[] = []> = [] extends
  ParamsOf<Method> ? [params?: ParamsOf<Method>, ...Rest]
  : [params: ParamsOf<Method>, ...Rest];

/** The scalars of JSON, and the values that are written as null. */
export type Scalar = string | number | boolean | null | undefined | void;

/** What JSON can say, and what it leaves out of an object. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** What JSON writes as `{}`, or as an object of its numbers. */
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

/** `true` for an Error, whose words stand where JSON doesn't look. */
export type IsError<Type> = Type extends Error
  // With a stack it is none of the messages that have a name.
  ? keyof Error extends keyof Type ? true : false
  : false;

/**
 * `true` for what is an instance of a class beyond doubt: it has members that
 * nobody else sees, or symbols.
 */
export type IsInstance<Type> = keyof Type & symbol extends never
  ? { [Name in keyof Type]: Type[Name] } extends Type ? false : true
  : true;
