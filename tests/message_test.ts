import { assert, assertEquals, assertThrows } from "@std/assert";
import { completeLimits, defaultLimits } from "../src/wire/limits.ts";
import {
  type Id,
  type Message,
  readError,
  type UnnamedVersion,
  type Version,
  writeError,
  writeNotification,
  writeParams,
  writeRequest,
  writeResult,
  writeValue,
} from "../src/wire/message.ts";
import { readFrame } from "../src/wire/frame_reader.ts";

function read(text: string, unnamed: UnnamedVersion = "1.0"): Message {
  const message = readFrame(text, unnamed, defaultLimits);
  if (Array.isArray(message)) throw new TypeError("Expected one message");
  return message;
}

Deno.test("readFrame tells the versions apart message by message", () => {
  const rows: [string, UnnamedVersion, Message["type"], Version][] = [
    ['{"jsonrpc":"2.0","method":"m","id":1}', "1.0", "request", "2.0"],
    ['{"method":"m","params":[],"id":1}', "1.0", "request", "1.0"],
    ['{"method":"m","params":[],"id":1}', "bare", "request", "bare"],
    [
      '{"jsonrpc":"1.0","method":"m","params":[],"id":1}',
      "1.0",
      "request",
      "1.0",
    ],
    ['{"jsonrpc":"2.0","method":"m"}', "1.0", "notification", "2.0"],
    ['{"jsonrpc":"2.0","method":"m","id":null}', "1.0", "request", "2.0"],
    ['{"method":"m","params":[],"id":null}', "1.0", "notification", "1.0"],
    ['{"method":"m","params":[]}', "1.0", "notification", "1.0"],
    ['{"method":"m"}', "bare", "notification", "bare"],
    ['{"jsonrpc":"2.0","result":1,"id":1}', "1.0", "response", "2.0"],
    ['{"result":1,"error":null,"id":1}', "1.0", "response", "1.0"],
    ['{"result":1,"id":1}', "bare", "response", "bare"],
  ];
  for (const [text, unnamed, type, version] of rows) {
    const message = read(text, unnamed);
    assertEquals([message.type, message.version], [type, version], text);
  }
});

Deno.test("readFrame gives ids back as they came", () => {
  const ids: Id[] = [0, -1, 1, 1.5, "", "1", "a-b", null, 9007199254740991];
  for (const id of ids) {
    const text = `{"jsonrpc":"2.0","method":"m","id":${JSON.stringify(id)}}`;
    const message = read(text);
    assertEquals([message.type, message.id], ["request", id], text);
    assertEquals(
      writeResult("2.0", message.id!, "0"),
      `{"jsonrpc":"2.0","result":0,"id":${JSON.stringify(id)}}`,
    );
  }
});

Deno.test("readFrame refuses an id that would not come back as it was written", () => {
  const tokens = [
    "9007199254740993",
    "-9007199254740993",
    "123456789012345678901234567890",
    "1e400",
    "1.50000000000000000001",
    "0.1234567890123456789",
  ];
  for (const token of tokens) {
    const member = `{"jsonrpc":"2.0","method":"m","id":${token}}`;
    assertEquals(read(member).type, "invalid", token);
    assertEquals(read(member).id, null, token);
    const batch = readFrame(
      `[{"jsonrpc":"2.0","method":"m","id":2.5},${member}]`,
      "1.0",
      defaultLimits,
    ) as Message[];
    assertEquals(
      batch.map(({ type, id }) => [type, id]),
      [["request", 2.5], ["invalid", null]],
      token,
    );
  }
  // An id elsewhere is data.
  const params =
    '{"jsonrpc":"2.0","method":"m","params":[{"id":1.50}],"id":2.5}';
  assertEquals(read(params).type, "request");
});

Deno.test("readFrame refuses ids of a wrong type with id null", () => {
  for (const id of ["{}", "[]", "[1]", "true", "false", '{"a":1}']) {
    const message = read(`{"jsonrpc":"2.0","method":"m","id":${id}}`);
    assertEquals([message.type, message.id], ["invalid", null], id);
  }
});

Deno.test("readFrame reads what is no request as invalid", () => {
  const rows: [string, number, Id | undefined][] = [
    ["", -32700, null],
    ["{", -32700, null],
    ["nonsense", -32700, null],
    ["null", -32600, null],
    ["1", -32600, null],
    ['"text"', -32600, null],
    ["true", -32600, null],
    ["[]", -32600, null],
    ["{}", -32600, null],
    ['{"foo":"boo"}', -32600, null],
    ['{"notification":"event","params":[]}', -32600, null],
    ['{"jsonrpc":"2.0","method":1,"id":7}', -32600, 7],
    ['{"jsonrpc":"2.0","method":null,"id":7}', -32600, 7],
    ['{"jsonrpc":"2.0","method":"m","params":"bar","id":7}', -32600, 7],
    ['{"jsonrpc":"2.0","method":"m","params":0,"id":7}', -32600, 7],
    ['{"jsonrpc":"3.0","method":"m","id":7}', -32600, 7],
    ['{"jsonrpc":2,"method":"m","id":7}', -32600, 7],
    ['{"jsonrpc":null,"method":"m","id":7}', -32600, 7],
    // A notification, however wrong, is never answered.
    ['{"jsonrpc":"2.0","method":"m","params":"bar"}', -32600, undefined],
    ['{"method":"m","params":false,"id":null}', -32600, undefined],
  ];
  for (const [text, code, id] of rows) {
    const message = read(text);
    assertEquals(
      message.type === "invalid" && [message.code, message.id],
      [code, id],
      text,
    );
  }
});

Deno.test("readFrame takes params null for absent", () => {
  const message = read('{"jsonrpc":"2.0","method":"m","params":null,"id":1}');
  assertEquals(message.type === "request" && message.params, undefined);
});

Deno.test("readFrame reads sloppy responses", () => {
  const rows: [string, Id | undefined, unknown, unknown][] = [
    ['{"jsonrpc":"2.0","result":0,"error":null,"id":1}', 1, 0, undefined],
    ['{"jsonrpc":"2.0","result":null,"id":1}', 1, null, undefined],
    ['{"jsonrpc":"2.0","id":1}', 1, undefined, undefined],
    ['{"id":1,"result":null,"error":"no"}', 1, null, "no"],
    ['{"jsonrpc":"2.0","error":{"code":1}}', undefined, undefined, { code: 1 }],
    ['{"jsonrpc":"2.0","error":{},"id":null}', null, undefined, {}],
    ['{"jsonrpc":"2.0","result":1,"id":[1]}', undefined, 1, undefined],
    ['\n{\n  "result": 1,\n  "id": 1\n}\n', 1, 1, undefined],
  ];
  for (const [text, id, result, error] of rows) {
    const message = read(text);
    assertEquals(
      message.type === "response" &&
        [message.id, message.result, message.error],
      [id, result, error],
      text,
    );
  }
});

Deno.test("readFrame reads a batch's members in their order", () => {
  const frame = readFrame(
    '[{"jsonrpc":"2.0","method":"a","id":1},1,[],{"result":2,"id":3},{"method":"b"}]',
    "1.0",
    defaultLimits,
  ) as Message[];
  assertEquals(
    frame.map(({ type }) => type),
    ["request", "invalid", "invalid", "response", "notification"],
  );
});

Deno.test("readFrame refuses what is longer than a limit, and nothing shorter", () => {
  const limits = completeLimits({
    batchMembers: 3,
    idLength: 4,
    methodLength: 5,
  });
  const rows: [text: string, isValid: boolean][] = [
    ['{"jsonrpc":"2.0","method":"m","id":"123"}', true],
    ['{"jsonrpc":"2.0","method":"m","id":"1234"}', true],
    ['{"jsonrpc":"2.0","method":"m","id":"12345"}', false],
    ['{"jsonrpc":"2.0","method":"1234","id":1}', true],
    ['{"jsonrpc":"2.0","method":"12345","id":1}', true],
    ['{"jsonrpc":"2.0","method":"123456","id":1}', false],
  ];
  for (const [text, isValid] of rows) {
    const message = readFrame(text, "1.0", limits) as Message;
    assertEquals(message.type !== "invalid", isValid, text);
  }
  assertEquals(Array.isArray(readFrame("[1,2]", "1.0", limits)), true);
  assertEquals(Array.isArray(readFrame("[1,2,3]", "1.0", limits)), true);
  const refused = readFrame("[1,2,3,4]", "1.0", limits) as Message;
  assertEquals(refused.type === "invalid" && refused.code, -32010);
});

Deno.test("readFrame lets a frame of many fragile ids cost one more parse, not one each", () => {
  const member = `{"jsonrpc":"2.0","method":"m","id":1.5}`;
  let parses = 0;
  const parse = JSON.parse;
  JSON.parse = (...args: Parameters<typeof parse>): unknown => {
    parses++;
    return parse(...args);
  };
  try {
    readFrame(`[${Array(100).fill(member).join()}]`, "1.0", defaultLimits);
  } finally {
    JSON.parse = parse;
  }
  assertEquals(parses, 2);
});

Deno.test("readError keeps whatever a peer says", () => {
  const rows: [error: unknown, code: number, message: string, data: unknown][] =
    [
      [{ code: 1, message: "No" }, 1, "No", undefined],
      [{ code: 1, message: "No", data: 0 }, 1, "No", 0],
      [{ code: 1, message: "No", data: null }, 1, "No", undefined],
      [{ code: 1 }, 1, "Unknown error", undefined],
      ["No", 0, "No", undefined],
      [{ message: "No" }, 0, "No", { message: "No" }],
      [{ code: "E", message: "No" }, 0, "No", { code: "E", message: "No" }],
      [{ code: 1.5, message: "No" }, 0, "No", { code: 1.5, message: "No" }],
      [{}, 0, "Unknown error", {}],
      [["a"], 0, "Unknown error", ["a"]],
      [false, 0, "Unknown error", false],
      [7, 0, "Unknown error", 7],
    ];
  for (const [error, code, message, data] of rows) {
    const { code: c, message: m, data: d } = readError(error);
    assertEquals([c, m, d], [code, message, data], JSON.stringify(error));
  }
});

Deno.test("writeRequest and writeNotification write each version's members", () => {
  const rows: [Version, request: string, notification: string][] = [
    [
      "2.0",
      '{"jsonrpc":"2.0","method":"m","params":[1],"id":7}',
      '{"jsonrpc":"2.0","method":"m","params":[1]}',
    ],
    [
      "1.0",
      '{"id":7,"method":"m","params":[1]}',
      '{"id":null,"method":"m","params":[1]}',
    ],
    [
      "bare",
      '{"method":"m","params":[1],"id":7}',
      '{"method":"m","params":[1]}',
    ],
  ];
  for (const [version, request, notification] of rows) {
    const params = writeParams(version, [1]);
    assertEquals(writeRequest(version, 7, "m", params), request);
    assertEquals(writeNotification(version, "m", params), notification);
  }
  assertEquals(
    writeRequest("2.0", 7, 'a"b\n', undefined),
    '{"jsonrpc":"2.0","method":"a\\"b\\n","id":7}',
  );
  assertEquals(
    writeNotification("1.0", "m", writeParams("1.0", undefined)),
    '{"id":null,"method":"m","params":[]}',
  );
  assertEquals(writeNotification("bare", "m", undefined), '{"method":"m"}');
});

Deno.test("writeResult and writeError write each version's members", () => {
  const error = { code: 1, message: "No" };
  const rows: [Version, result: string, error: string][] = [
    [
      "2.0",
      '{"jsonrpc":"2.0","result":0,"id":"a"}',
      '{"jsonrpc":"2.0","error":{"code":1,"message":"No"},"id":"a"}',
    ],
    [
      "1.0",
      '{"id":"a","result":0,"error":null}',
      '{"id":"a","result":null,"error":{"code":1,"message":"No"}}',
    ],
    [
      "bare",
      '{"result":0,"id":"a"}',
      '{"error":{"code":1,"message":"No"},"id":"a"}',
    ],
  ];
  for (const [version, result, failure] of rows) {
    assertEquals(writeResult(version, "a", "0"), result);
    assertEquals(writeError(version, "a", error), failure);
  }
  assertEquals(
    writeError("1.0", 1, error, true),
    '{"id":1,"result":null,"error":"No"}',
  );
  assertEquals(
    writeError("2.0", 1, error, true),
    '{"jsonrpc":"2.0","error":{"code":1,"message":"No"},"id":1}',
  );
});

Deno.test("writeParams refuses what is no array or object once it is written", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const refused: unknown[] = [
    null,
    1,
    "text",
    true,
    () => {},
    new Date(0),
    { toJSON: () => 5 },
    { toJSON: () => undefined },
    [1n],
    cycle,
  ];
  for (const params of refused) {
    assertThrows(() => writeParams("2.0", params as object), TypeError);
  }
  assertThrows(() => writeParams("1.0", { a: 1 }), TypeError, "by name");
  assertEquals(writeParams("2.0", { toJSON: () => [1] }), "[1]");
});

Deno.test("completeLimits takes 0 for none and refuses what is no count", () => {
  assertEquals(completeLimits(undefined), defaultLimits);
  assertEquals(completeLimits({ outgoing: 0 }).outgoing, Infinity);
  assertEquals(completeLimits({ outgoing: 5 }).incoming, 1024);
  for (const limit of [-1, 1.5, NaN]) {
    assertThrows(
      () => completeLimits({ outgoing: limit }),
      RangeError,
      "outgoing",
    );
  }
});

Deno.test("writeValue writes what JSON.stringify does", () => {
  const values = [
    ...[0, -0, 1, -1.5, 0.1 + 0.2, 1e21, 1e-7, 2 ** 53, Number.MAX_VALUE],
    ...[NaN, Infinity, -Infinity, true, false, null, undefined],
    ...["", "1", 'a "quoted" \u{1f600}', [1], { a: NaN }, () => 1, Symbol("s")],
    ...[new Date(0), Object(1), Object("text")],
  ];
  for (const value of values) {
    assertEquals(writeValue(value), JSON.stringify(value));
  }
  assertThrows(() => writeValue(1n), TypeError);
});

Deno.test("Long names, which may be a peer's, are not kept", () => {
  const before = Deno.memoryUsage().heapUsed;
  for (let n = 0; n < 600; n++) {
    writeNotification("2.0", `${n}`.padEnd(1_000_000, "x"), undefined);
  }
  const grown = (Deno.memoryUsage().heapUsed - before) / 1e6;
  assert(grown < 400, `${grown} MB`);
});
