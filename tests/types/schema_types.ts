/**
 * What compiles and what must not, of declared methods and of discovery. Nothing
 * here runs.
 */

import { connect } from "../../client.ts";
import { describe, type OpenRpcDocument } from "../../discovery.ts";
import { method, Peer, type Remote, type StandardSchema } from "../../mod.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

declare const number: StandardSchema<number>;
declare const text: StandardSchema<string>;
declare const maybe: StandardSchema<number | undefined>;
declare const date: StandardSchema<string, Date>;
declare const count: StandardSchema<number | undefined, number>;

export async function typed(): Promise<void> {
  const local = {
    subtract: method(
      { params: { minuend: number, subtrahend: number }, result: number },
      (minuend, subtrahend) => {
        isSame<typeof minuend, number>(true);
        return minuend - subtrahend;
      },
    ),
    greet: method(
      { params: [{ name: text }, { born: date }, { times: count }] },
      (name, born, times) => {
        isSame<typeof name, string>(true);
        isSame<typeof born, Date>(true);
        isSame<typeof times, number>(true);
        return name;
      },
    ),
    place: method(
      { params: [number, text, maybe], result: date },
      async (x, label, y) => {
        isSame<typeof x, number>(true);
        isSame<typeof label, string>(true);
        isSame<typeof y, number | undefined>(true);
        return await Promise.resolve(label);
      },
    ),
    named: method(
      { params: ["a", "b"] },
      (a: number, b?: string) => `${a}${b}`,
    ),
    free: method({ summary: "Anything" }, (...terms: number[]) => terms),
    ping: method({ params: [] }, () => "pong"),
    // TypeScript does not know which of an object's members comes first.
    mixed: method({ params: { name: text, age: number } }, (name, age) => {
      isSame<typeof name, string | number>(true);
      isSame<typeof age, string | number>(true);
    }),
  };
  const remote: Remote<typeof local> = new Peer<typeof local>(null!).remote;

  isSame<
    Parameters<typeof local.subtract>,
    [number, number]
  >(true);
  isSame<
    Parameters<typeof local.greet>,
    [string, string, (number | undefined)?]
  >(true);
  isSame<
    Parameters<typeof local.place>,
    [number, string, (number | undefined)?]
  >(true);
  isSame<typeof local.ping, () => string | Promise<string>>(true);

  const difference = await remote.subtract(42, 23);
  isSame<typeof difference, number>(true);
  const greeting = await remote.greet("ann", "2000-01-01");
  isSame<typeof greeting, string>(true);
  const placed = await remote.place(1, "a");
  isSame<typeof placed, string>(true); // As JSON has it.
  const named = await remote.named(1);
  isSame<typeof named, string>(true);
  const free = await remote.free(1, 2, 3);
  isSame<typeof free, number[]>(true);

  // @ts-expect-error: a text is no number.
  await remote.subtract(42, "23");
  // @ts-expect-error: a parameter is missing.
  await remote.subtract(42);
  // @ts-expect-error: one parameter too many.
  await remote.subtract(1, 2, 3);
  // @ts-expect-error: the caller gives a text, the method gets the date.
  await remote.greet("ann", new Date());
  // @ts-expect-error: there is no parameter.
  await remote.ping(1);

  // @ts-expect-error: the schema makes a number of it.
  method({ params: [number] }, (a: string) => a);
  // @ts-expect-error: the result is no number.
  method({ params: [], result: number }, () => "one");
  // @ts-expect-error: nor is what the promise resolves to.
  method({ params: [], result: number }, () => Promise.resolve("one"));
  // @ts-expect-error: the function wants more than it gets.
  method({ params: [number] }, (a, b: number) => a + b);
  // @ts-expect-error: a schema must be one.
  method({ params: { a: "number" } }, (a) => a);
  // @ts-expect-error: a schema is no list of them.
  method({ params: number }, (a) => a);
  // @ts-expect-error: nor is the result any object.
  method({ result: { type: "number" } }, () => 1);
  // @ts-expect-error: errors have codes.
  method({ errors: [{ message: "Taken" }] }, () => 1);

  // Of literals, only the schema knows.
  const shape: StandardSchema<{ kind: "a" | "b"; at: Date }[]> = null!;
  const shapes = method({ params: [], result: shape }, () => [
    { kind: "a", at: new Date() },
  ]);
  isSame<
    Awaited<ReturnType<typeof shapes>>,
    { kind: "a" | "b"; at: Date }[]
  >(true);
  method({ params: [number], result: shape }, async (_) => [
    { kind: await Promise.resolve("a"), at: new Date() },
  ]);
  const kind: StandardSchema<"a" | "b"> = null!;
  method({ params: ["x"], result: kind }, (x: number) => x > 1 ? "a" : "b");
  // @ts-expect-error: a member is missing.
  method({ params: [], result: shape }, () => [{ kind: "a" }]);
  // @ts-expect-error: a member is another one.
  method({ params: [], result: shape }, () => [{ kind: "a", at: "now" }]);
}

interface Page {
  ask(question: string): string;
}

export async function called(): Promise<void> {
  class Service extends Peer<Page, { user: string }> {
    override local = {
      ask: method({ params: [text] }, async (question) => {
        const answer = await this.remote.ask(question);
        isSame<typeof answer, string>(true);
        return `${this.context.user}: ${answer}`;
      }),
    };
  }
  const context = { user: "ann" };
  connect("ws://localhost", Service, { context });

  const service = connect<Service["local"]>("ws://localhost", {
    local: {
      // In a definition, `this` is the peer.
      who: method({ params: [] }, function () {
        isSame<typeof this, Peer>(true);
        return this.call.method;
      }),
      back: method(
        { params: [text] },
        async function (this: Peer<Page>, question) {
          isSame<typeof question, string>(true);
          return await this.remote.ask(question);
        },
      ),
    },
    discover: describe({ title: "Page", version: "1" }),
  });
  const answer = await service.remote.ask("why");
  isSame<typeof answer, string>(true);

  const discover = describe({ title: "Page", version: "1" }, {
    // A function for the schemas of one library.
    toJsonSchema: (schema: typeof date) => schema,
  });
  isSame<ReturnType<typeof discover>, OpenRpcDocument>(true);
  // @ts-expect-error: a service has a version.
  describe({ title: "Page" });
}
