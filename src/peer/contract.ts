/**
 * The contract between the two sides, in types alone: how one side's `local`
 * looks from the other side.
 *
 * @module
 */

/** The remote of a peer whose type was not told: any name, any params. */
export interface UntypedRemote {
  /** A method of that name, or a group of methods. */
  readonly [name: string]:
    & UntypedRemote
    & ((...params: unknown[]) => Promise<unknown>);
}

/**
 * The other side's `local` as it looks from here: each function returns a
 * promise, or a {@linkcode RemoteStream}; each nested object is a group of dotted
 * names.
 */
export type Remote<Theirs> = unknown extends Theirs ? UntypedRemote : {
  readonly [
    Name in keyof Theirs as Theirs[Name] extends object ? Name : never
  ]: Theirs[Name] extends (...params: infer Params) => infer Result
    ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
    : Remote<Theirs[Name]>;
};

/** The value that a call has for its caller. */
export type RemoteResult<Result> = IsAny<Result> extends true ? Promise<Result>
  : [Result] extends [never] ? Promise<never>
  : [Result] extends [AsyncIterable<infer Value> | ReadableStream<infer Value>]
    ? RemoteStream<RemoteValue<Value>>
  : Promise<RemoteValue<Result>>;

/**
 * A stream of the other side's. It is iterated directly; awaiting it first tells
 * whether the call succeeded, and gives the same values.
 */
export type RemoteStream<Value> =
  & AsyncIterable<Value>
  & PromiseLike<AsyncIterable<Value>>;

/**
 * A value as it arrives: functions and marked objects can be called, what writes
 * itself as something else (a Date) is that, and what JSON can't say is a
 * {@linkcode CannotTravel}.
 */
export type RemoteValue<Value> = IsAny<Value> extends true ? Value
  : unknown extends Value ? Value
  : Value extends Scalar ? Value
  : Value extends bigint | symbol ? CannotTravel<"JSON has no bigint or symbol">
  : Value extends Marshaled<infer Target> ? RemoteReference<Target>
  : Value extends (...params: never[]) => unknown ? RemoteReference<Value>
  : Value extends { toJSON(...params: never[]): infer Written }
    ? RemoteValue<Written>
  : Value extends readonly unknown[]
    ? { [Index in keyof Value]: RemoteValue<Value[Index]> }
  : HasMethod<Value> extends true
    ? CannotTravel<"An object with methods must be marked with marshal()">
  : { [Name in keyof Value]: RemoteValue<Value[Name]> };

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

/** The arguments that a caller may pass; see {@linkcode RemoteParam}. */
export type RemoteParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Params[Index]>;
};

/**
 * An argument that a caller may pass for a parameter: for a stream anything that is one, for
 * a function that is called back one that answers now or later, for a reference
 * what it was made of.
 */
export type RemoteParam<Param> = IsAny<Param> extends true ? Param
  : unknown extends Param ? Param
  : Param extends Scalar ? Param
  : Param extends bigint | symbol ? CannotTravel<"JSON has no bigint or symbol">
  : Param extends AsyncIterable<infer Value> | ReadableStream<infer Value>
    ? AsyncIterable<Value> | ReadableStream<Value>
  : Param extends RemoteReference<infer Target> ? Marshaled<Target> | Param
  : Param extends (...params: infer Params) => infer Result
    ? (...params: Params) => Awaited<Result> | Promise<Awaited<Result>>
  : Param extends readonly unknown[] ? Param
  : HasMethod<Param> extends true
    ? CannotTravel<"An object with methods arrives without them">
  : Param;

/** The names of the methods of a `local`, those in groups with dots. */
export type MethodName<Theirs> = unknown extends Theirs ? never : {
  [Name in keyof Theirs & string]: Theirs[Name] extends
    (...params: never[]) => unknown ? Name
    : Theirs[Name] extends object ? `${Name}.${MethodName<Theirs[Name]>}`
    : never;
}[keyof Theirs & string];

/** A name, unless the type of the other side knows it. */
export type OtherName<Name extends string, Theirs> = Name extends
  MethodName<Theirs> ? never : Name;

/** The method of that name. */
export type MethodOf<Theirs, Name> = Name extends keyof Theirs ? Theirs[Name]
  : Name extends `${infer Group}.${infer Rest}`
    ? Group extends keyof Theirs ? MethodOf<Theirs[Group], Rest> : never
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

/** `true` for the type `any`, which is passed on as it is. */
export type IsAny<Type> = 0 extends 1 & Type ? true : false;

/** `true` for an object with members that are functions. */
export type HasMethod<Type> = true extends {
  [Name in keyof Type]: Type[Name] extends (...params: never[]) => unknown
    ? true
    : never;
}[keyof Type] ? true
  : false;
