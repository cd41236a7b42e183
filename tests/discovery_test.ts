import metaSchema from "@open-rpc/meta-schema";
import {
  Client,
  RequestManager,
  WebSocketTransport,
} from "@open-rpc/client-js";
import {
  parseOpenRPCDocument,
  validateOpenRPCDocument,
} from "@open-rpc/schema-utils-js";
import jsonMetaSchema from "@json-schema-tools/meta-schema";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { toJsonSchema, toStandardJsonSchema } from "@valibot/to-json-schema";
import { Ajv, type ValidateFunction } from "ajv";
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import {
  ErrorCode,
  method,
  Peer,
  RpcError,
  type StandardSchema,
} from "../mod.ts";
import { serve } from "../server.ts";
import { socketPair } from "../testing.ts";
import {
  describe,
  type DescribeOptions,
  type OpenRpcDocument,
  type OpenRpcMethod,
} from "../discovery.ts";

const info = { title: "Test", version: "1.0.0" };

/** The specification's own schema of a document. */
function compileMetaSchema(): ValidateFunction {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const { $schema: _, ...schema } = metaSchema as object & {
    $schema?: string;
  };
  const { $schema: __, $id, ...json } = jsonMetaSchema as object & {
    $schema?: string;
    $id?: string;
  };
  // It refers to this one with a slash at the end, and without.
  ajv.addSchema({ ...json, $id: `${$id}` });
  ajv.addSchema(json, "https://meta.json-schema.tools");
  return ajv.compile(schema);
}

const isDocument = compileMetaSchema();

/** Describes it, and asserts that the document is one, on the wire too. */
function describeValid(
  local: object,
  options?: DescribeOptions,
): OpenRpcDocument {
  const document = describe(info, options)(local);
  const written = JSON.parse(JSON.stringify(document)) as OpenRpcDocument;
  assert(isDocument(written), JSON.stringify(isDocument.errors));
  assertEquals(validateOpenRPCDocument(written as never), true);
  assertEquals(written, document);
  return written;
}

/** Validates values by a JSON Schema of the document. */
function compile(document: OpenRpcDocument, schema: object): ValidateFunction {
  return new Ajv({ strict: false }).compile({
    ...schema,
    components: document.components,
  });
}

function first(document: OpenRpcDocument): OpenRpcMethod {
  return document.methods[0]!;
}

interface Library {
  name: string;
  options: DescribeOptions;
  number: StandardSchema<number>;
  optional: StandardSchema<string | undefined>;
  user: StandardSchema<{ name: string; tags: string[] }>;
  later: StandardSchema<string, number>;
  inexpressible: StandardSchema;
}

const libraries: Library[] = [{
  name: "zod",
  options: {},
  number: z.number().min(0),
  optional: z.string().optional(),
  user: z.object({ name: z.string(), tags: z.array(z.string()) }),
  later: z.string().transform((text) => Promise.resolve(text.length)),
  inexpressible: z.date(),
}, {
  name: "valibot",
  options: { toJsonSchema },
  number: v.pipe(v.number(), v.minValue(0)),
  optional: v.optional(v.string()),
  user: v.object({ name: v.string(), tags: v.array(v.string()) }),
  later: v.pipeAsync(
    v.string(),
    v.transformAsync((text) => Promise.resolve(text.length)),
  ),
  inexpressible: v.date(),
}, {
  name: "arktype",
  options: {},
  number: type("number >= 0"),
  optional: type("string | undefined"),
  user: type({ name: "string", tags: "string[]" }),
  later: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => Promise.resolve({ issues: [{ message: "No" }] }),
    },
  },
  inexpressible: type("Date"),
}];

for (const library of libraries) {
  Deno.test(`describe makes a valid document of a service, with ${library.name}`, () => {
    const { options, number, optional, user, later, inexpressible } = library;
    const fn = (): never => null as never;
    const document = describeValid({
      either: method({
        params: [{ user }, { note: optional }],
        result: number,
        summary: "Either",
        description: "By position *or* by name",
        deprecated: true,
        errors: [
          { code: 409, message: "Name is taken" },
          { code: 410, message: "Gone", data: { why: "age" } },
        ],
      }, fn),
      group: {
        position: method({ params: [number, optional], result: user }, fn),
        names: method({ params: ["a", "b"] }, fn),
      },
      later: method({ params: { later } }, fn),
      unknown: method({ params: { inexpressible } }, fn),
      none: method({ params: [] }, fn),
    }, options);

    assertEquals(document.openrpc, "1.3.2");
    assertEquals(document.info, info);
    const [either, position, names, later_, unknown, none] = document.methods;
    assert(either && position && names && later_ && unknown && none);

    assertEquals(either.name, "either");
    assertEquals(either.summary, "Either");
    assertEquals(either.description, "By position *or* by name");
    assertEquals(either.deprecated, true);
    assertEquals(either.errors, [
      { code: 409, message: "Name is taken" },
      { code: 410, message: "Gone", data: { why: "age" } },
    ]);
    assertEquals(either.paramStructure, "either");
    assertEquals(
      either.params.map(({ name, required }) => [name, required]),
      [["user", true], ["note", false]],
    );
    const isUser = compile(document, either.params[0]!.schema);
    assert(isUser({ name: "ann", tags: ["a"] }));
    assert(!isUser({ name: "ann", tags: [1] }));
    assertEquals(either.result, {
      name: "result",
      schema: { type: "number", minimum: 0 },
    });

    assertEquals(position.name, "group.position");
    assertEquals(position.paramStructure, "by-position");
    assertEquals(
      position.params.map(({ name, required }) => [name, required]),
      [["param1", true], ["param2", false]],
    );
    assert(compile(document, position.result.schema)({ name: "a", tags: [] }));
    assert(!compile(document, position.result.schema)({ name: 1, tags: [] }));

    assertEquals(names, {
      name: "group.names",
      paramStructure: "either",
      params: [
        { name: "a", required: false, schema: {} },
        { name: "b", required: false, schema: {} },
      ],
      result: { name: "result", schema: {} },
    });
    assertEquals(later_.params[0]?.required, true);
    assertEquals(unknown.params, [
      { name: "inexpressible", required: true, schema: {} },
    ]);
    assertEquals([none.params, none.paramStructure], [[], "either"]);
  });
}

Deno.test("describe tells of other functions what is known", () => {
  const local = {
    add: (a: number, b: number) => a + b,
    noted: method(
      { description: "What it says", result: z.number() },
      (a: number) => a,
    ),
    math: { zero: () => 0 },
    "": () => "nameless",
    field: 5,
  };
  assertEquals(describeValid(local), {
    openrpc: "1.3.2",
    info,
    methods: [{
      name: "add",
      paramStructure: "by-position",
      params: [{ name: "param1", schema: {} }, { name: "param2", schema: {} }],
      result: { name: "result", schema: {} },
    }, {
      name: "noted",
      description: "What it says",
      paramStructure: "by-position",
      params: [{ name: "param1", schema: {} }],
      result: { name: "result", schema: { type: "number" } },
    }, {
      name: "math.zero",
      paramStructure: "by-position",
      params: [],
      result: { name: "result", schema: {} },
    }],
  });
  assertEquals(describeValid({}).methods, []);
});

Deno.test("describe requires what precedes a required parameter", () => {
  const { params } = first(describeValid({
    a: method({
      params: [
        { a: z.number().optional() },
        { b: z.number() },
        { c: z.number().default(1) },
      ],
    }, () => {}),
  }));
  assertEquals(params.map(({ required }) => required), [true, true, false]);
});

Deno.test("describe tells what callers give and get, not what the method sees", () => {
  const schema = z.string().transform(Number).pipe(z.number());
  const piped = v.pipe(v.string(), v.transform(Number), v.number());
  const local = (schema: StandardSchema): object => ({
    a: method({ params: { schema }, result: schema }, () => "1"),
  });
  for (
    const { params, result } of [
      first(describeValid(local(schema))),
      first(describeValid(local(piped), { toJsonSchema })),
      first(describeValid(local(toStandardJsonSchema(piped)))),
    ]
  ) {
    assertEquals(params[0]?.schema, { type: "string" });
    assertEquals(result.schema, { type: "number" });
  }
});

Deno.test("describe asks toJsonSchema for what a library can't say", () => {
  const asked: [schema: StandardSchema, io: string][] = [];
  const date = z.date();
  const text = v.string();
  const other = v.number();
  const { params, result } = first(describeValid({
    a: method({ params: [z.number(), date, text], result: other }, () => 1),
  }, {
    toJsonSchema(schema, { target, io, typeMode }) {
      assertEquals([target, typeMode], ["draft-07", io]);
      asked.push([schema, io]);
      if (schema === text) throw new Error("Cannot convert");
      return { type: "string" };
    },
  }));
  assertEquals(
    params.map(({ schema }) => schema),
    [{ type: "number" }, { type: "string" }, {}],
  );
  assertEquals(result.schema, { type: "string" });
  assertEquals(asked, [[date, "input"], [text, "input"], [other, "output"]]);
});

const Tree = z.object({
  name: z.string(),
  get children() {
    return z.array(Tree);
  },
});
const Branch = type({ name: "string", children: "this[]" });
interface Leaf {
  name: string;
  children: Leaf[];
}
const Twig: v.GenericSchema<Leaf> = v.object({
  name: v.string(),
  children: v.array(v.lazy(() => Twig)),
});

Deno.test("describe moves schemas that refer to themselves, and their references", () => {
  const trees: [StandardSchema, DescribeOptions][] = [
    [Tree, {}],
    [Branch, {}],
    [Twig, { toJsonSchema }],
  ];
  for (const [tree, options] of trees) {
    const document = describeValid({
      "trees/plant": method(
        { params: { tree, other: tree }, result: tree },
        (tree) => tree,
      ),
      trees_plant: method({ params: { tree } }, () => {}),
    }, options);
    const schemas = document.methods.flatMap(({ params, result }) =>
      [...params, result].map(({ schema }) => schema)
    ).filter((schema) => "$ref" in schema);
    assertEquals(schemas, [
      { $ref: "#/components/schemas/trees_plant.tree" },
      { $ref: "#/components/schemas/trees_plant.other" },
      { $ref: "#/components/schemas/trees_plant.result" },
      { $ref: "#/components/schemas/trees_plant.tree_2" },
    ]);
    for (const schema of schemas) {
      const isTree = compile(document, schema);
      const leaf = { name: "b", children: [] };
      assert(isTree({ name: "a", children: [leaf] }));
      assert(!isTree({ name: "a", children: [{ ...leaf, name: 1 }] }));
    }
  }
});

Deno.test("describe's references are followed by OpenRPC's own tools", async () => {
  const Point = z.object({ x: z.number() }).meta({ id: "Point" });
  const document = describeValid({
    line: method({ params: [{ from: Point }, { to: Point }] }, () => {}),
    both: method({ params: [z.tuple([Point, Point])] }, () => {}),
  });
  const parsed = await parseOpenRPCDocument(
    JSON.parse(JSON.stringify(document)),
  );
  const [line, both] = parsed.methods as OpenRpcMethod[];
  const [from] = line!.params;
  assertEquals(from?.schema, {
    type: "object",
    properties: { x: { type: "number" } },
    required: ["x"],
    ...from?.schema,
  });
  const [points] = both!.params;
  const { items } = points!.schema as { items: { type: string }[] };
  assertEquals(items.map(({ type }) => type), ["object", "object"]);
});

Deno.test("describe describes each local once", () => {
  let conversions = 0;
  const discover = describe(info, {
    toJsonSchema() {
      conversions++;
      return {};
    },
  });
  const local = { a: method({ params: [v.string()] }, () => {}) };
  assertEquals(discover(local), discover(local));
  assert(discover(local) === discover(local));
  assertEquals(conversions, 1);
  assert(discover({ ...local }) !== discover(local));
  assertEquals(conversions, 2);
});

Deno.test("describe calls no method and hears no schema that rejects", async () => {
  let calls = 0;
  const rejecting: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => Promise.reject(new Error("Not now")),
    },
  };
  const throwing: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate() {
        throw new Error("Not undefined");
      },
    },
  };
  const { params } = first(describeValid({
    a: method({ params: { rejecting, throwing } }, () => ++calls),
  }));
  await Promise.resolve();
  assertEquals(params.map(({ required }) => required), [true, true]);
  assertEquals(calls, 0);
});

Deno.test("Peer answers rpc.discover if it is told to", async () => {
  const local = {
    subtract: method(
      { params: { minuend: z.number(), subtrahend: z.number() } },
      (minuend, subtrahend) => minuend - subtrahend,
    ),
  };
  for (const discover of [describe(info), undefined]) {
    const [left, right] = socketPair();
    await using _server = new Peer(left, {
      local,
      ...discover === undefined ? {} : { discover },
    });
    await using client = new Peer(right);
    if (discover === undefined) {
      const error = await assertRejects(
        () => client.request("rpc.discover"),
        RpcError,
      );
      assertEquals(error.code, ErrorCode.MethodNotFound);
    } else {
      assertEquals(await client.request("rpc.discover"), discover(local));
    }
  }
});

Deno.test("OpenRPC's client discovers a service, and calls it as it says", async () => {
  class Shop extends Peer {
    #stock = new Map([["tea", 5]]);
    override local = {
      stock: {
        take: method({
          params: [{ name: z.string() }, {
            count: z.number().int().default(1),
          }],
          result: z.number(),
          summary: "Takes something out of stock",
          errors: [{ code: 404, message: "No such thing" }],
        }, (name, count) => {
          const stock = this.#stock.get(name);
          if (stock === undefined) throw new RpcError(404, "No such thing");
          this.#stock.set(name, stock - count);
          return stock - count;
        }),
      },
    };
  }
  const server = serve(Shop, {
    port: 0,
    onListen() {},
    discover: describe(info),
  });
  const transport = new WebSocketTransport(server.url);
  const manager = new RequestManager([transport]);
  await manager.connectPromise;
  const client = new Client(manager);
  // Any other time-out would leave a timer running after its answer.
  const noTimeout = 0;

  const document = await client.request(
    { method: "rpc.discover" },
    noTimeout,
  ) as OpenRpcDocument;
  assert(isDocument(document), JSON.stringify(isDocument.errors));
  const { methods } = await parseOpenRPCDocument(document as never);
  const { name, params } = methods[0] as OpenRpcMethod;
  assertEquals(
    params.map(({ name, required }) => [name, required]),
    [["name", true], ["count", false]],
  );
  const byName = { [params[0]!.name]: "tea", [params[1]!.name]: 2 };
  const take = (params: object | unknown[]) =>
    client.request({ method: name, params }, noTimeout);
  assertEquals(await take(byName), 3);
  assertEquals(await take(["tea"]), 2);

  const closed = new Promise((resolve) =>
    transport.connection.addEventListener("close", resolve)
  );
  manager.close();
  await closed;
  await server.shutdown();
});
