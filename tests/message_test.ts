/**
 * Messages: what JSON made of them read, and what is to be JSON written. What is
 * about frames goes through a peer.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { type Peer, RpcError } from "../mod.ts";
import { completeLimits, defaultLimits } from "../src/wire/limits.ts";
import {
  type Id,
  JsonText,
  type Message,
  readError,
  readMessage,
  type Version,
  writeError,
  writeNotification,
  writeParams,
  writeRequest,
  writeResult,
  writeValue,
} from "../src/wire/message.ts";
import { failure, openScripted as open, result } from "./scripted_socket.ts";

function read(
  text: string,
  unnamed: Version = "1.0",
  limits = defaultLimits,
): Message {
  return readMessage(JSON.parse(text), text, unnamed, limits);
}

Deno.test("readMessage tells the versions apart message by message", () => {
  const rows: [string, Version, Message["type"], Version][] = [
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
    // Where no other version is spoken, what names none is of 2.0.
    ['{"method":"m","id":1}', "2.0", "request", "2.0"],
    ['{"method":"m","id":null}', "2.0", "notification", "2.0"],
  ];
  for (const [text, unnamed, type, version] of rows) {
    const message = read(text, unnamed);
    assertEquals([message.type, message.version], [type, version], text);
  }
});

Deno.test("readMessage gives ids back as they came", () => {
  const ids: Id[] = [0, -1, 1, 1.5, "", "1", "a-b", null, 9007199254740991];
  for (const id of ids) {
    const text = `{"jsonrpc":"2.0","method":"m","id":${JSON.stringify(id)}}`;
    const message = read(text);
    assertEquals([message.type, message.id], ["request", id], text);
    assertEquals(
      writeResult(message.id!, 0),
      `{"jsonrpc":"2.0","result":0,"id":${JSON.stringify(id)}}`,
    );
  }
});

Deno.test("readMessage refuses an id that would not come back as it was written", () => {
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
    const batch = `[{"jsonrpc":"2.0","method":"m","id":2.5},${member}]`;
    for (const text of [member, batch]) {
      const { type, id } = readMessage(
        JSON.parse(member),
        text,
        "1.0",
        defaultLimits,
      );
      assertEquals([type, id], ["invalid", null], text);
    }
    // It spoils no other id of its frame.
    const other = readMessage(
      JSON.parse(batch)[0],
      batch,
      "1.0",
      defaultLimits,
    );
    assertEquals([other.type, other.id], ["request", 2.5]);
  }
});

Deno.test("readMessage takes an id of many digits if all that are read alike are written alike", () => {
  const rows: [id: string, other: string, type: Message["type"]][] = [
    ["2.5", "1.50", "request"],
    ["2.5", "2.5", "request"],
    ["2.5", "2.50", "invalid"],
    ["9007199254740993", "9007199254740992", "invalid"],
    ["9007199254740992", "9007199254740993", "invalid"],
    ["9007199254740992", "9007199254740992", "request"],
    ["1.5e+300", "1", "request"],
    ["1.5e300", "1", "invalid"],
    ["7", "7.0", "request"],
  ];
  for (const [id, other, type] of rows) {
    const params = `"params":[{"id":${other}}]`;
    for (const members of [`"id":${id},${params}`, `${params},"id" : ${id}`]) {
      const text = `{"jsonrpc":"2.0","method":"m",${members}}`;
      assertEquals(read(text).type, type, text);
    }
  }
});

Deno.test("readMessage refuses ids of a wrong type with id null", () => {
  for (const id of ["{}", "[]", "[1]", "true", "false", '{"a":1}']) {
    const message = read(`{"jsonrpc":"2.0","method":"m","id":${id}}`);
    assertEquals([message.type, message.id], ["invalid", null], id);
  }
});

Deno.test("readMessage reads what is no request as invalid", () => {
  const rows: [string, Id | undefined][] = [
    ["null", null],
    ["1", null],
    ['"text"', null],
    ["true", null],
    ["[]", null],
    ["{}", null],
    ['{"foo":"boo"}', null],
    ['{"notification":"event","params":[]}', null],
    ['{"jsonrpc":"2.0","method":1,"id":7}', 7],
    ['{"jsonrpc":"2.0","method":null,"id":7}', 7],
    ['{"jsonrpc":"2.0","method":"m","params":"bar","id":7}', 7],
    ['{"jsonrpc":"2.0","method":"m","params":0,"id":7}', 7],
    ['{"jsonrpc":"3.0","method":"m","id":7}', 7],
    ['{"jsonrpc":2,"method":"m","id":7}', 7],
    ['{"jsonrpc":null,"method":"m","id":7}', 7],
    // A notification, however wrong, is never answered.
    ['{"jsonrpc":"2.0","method":"m","params":"bar"}', undefined],
    ['{"method":"m","params":false,"id":null}', undefined],
  ];
  for (const [text, id] of rows) {
    const message = read(text);
    assertEquals(
      message.type === "invalid" && [message.code, message.id],
      [-32600, id],
      text,
    );
  }
});

Deno.test("Peer answers what is no JSON, or no message, as the specification's examples do", async () => {
  await using it = await open();
  const { socket } = it;
  const parse = failure(null, -32700, "Parse error");
  const invalid = failure(null, -32600, "Invalid Request");
  // https://www.jsonrpc.org/specification#examples, "rpc call with invalid ..."
  const rows: [text: string, answer: object | undefined][] = [
    ['{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', parse],
    [
      '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
      failure(null, -32600, "Invalid Request: method must be a string"),
    ],
    [
      '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]',
      parse,
    ],
    ["[]", invalid],
    ["[1]", [invalid]],
    ["[1,2,3]", [invalid, invalid, invalid]],
    ["{", parse],
    ["nonsense", parse],
    ["", undefined],
  ];
  for (const [text, answer] of rows) {
    socket.receive(text);
    assertEquals(socket.take(), answer === undefined ? [] : [answer], text);
  }
});

Deno.test("readMessage takes params null for absent", () => {
  const message = read('{"jsonrpc":"2.0","method":"m","params":null,"id":1}');
  assertEquals(message.type === "request" && message.params, undefined);
});

Deno.test("readMessage reads sloppy responses", () => {
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

Deno.test("Peer reads a batch's members in their order", async () => {
  const seen: unknown[] = [];
  await using it = await open({
    local: { a: () => void seen.push("a"), b: () => void seen.push("b") },
    oninvalid: (text) => (seen.push("invalid"), text === ""),
  });
  const { socket, peer } = it;
  const call = peer.request("m").then((result) => seen.push(result));
  socket.take();
  socket.receive(
    '[{"jsonrpc":"2.0","method":"a","id":1},1,[],{"result":2,"id":1},{"method":"b"}]',
  );
  assertEquals(seen, ["a", "invalid", "invalid", "b"]);
  const refusal = failure(null, -32600, "Invalid Request");
  assertEquals(socket.take(), [[result(1, null), refusal, refusal]]);
  await call;
  assertEquals(seen.at(-1), 2);
});

Deno.test("readMessage refuses what is longer than a limit, and nothing shorter", () => {
  const limits = completeLimits({ idLength: 4, methodLength: 5 });
  const rows: [text: string, isValid: boolean][] = [
    ['{"jsonrpc":"2.0","method":"m","id":"123"}', true],
    ['{"jsonrpc":"2.0","method":"m","id":"1234"}', true],
    ['{"jsonrpc":"2.0","method":"m","id":"12345"}', false],
    ['{"jsonrpc":"2.0","method":"1234","id":1}', true],
    ['{"jsonrpc":"2.0","method":"12345","id":1}', true],
    ['{"jsonrpc":"2.0","method":"123456","id":1}', false],
  ];
  for (const [text, isValid] of rows) {
    assertEquals(read(text, "1.0", limits).type !== "invalid", isValid, text);
  }
});

Deno.test("Peer refuses a batch of more members than its limit, and none of fewer", async () => {
  await using it = await open({ limits: { batchMembers: 3 } });
  const { socket } = it;
  for (const [text, answers] of [["[1,2]", 2], ["[1,2,3]", 3]] as const) {
    socket.receive(text);
    assertEquals((socket.take()[0] as unknown[]).length, answers);
  }
  socket.receive("[1,2,3,4]");
  assertEquals(socket.take(), [
    failure(null, -32010, "Batch has 4 of at most 3 members"),
  ]);
});

Deno.test("readMessage looks for the digits of ids once in a frame of many", async () => {
  const member = `{"jsonrpc":"2.0","method":"m","id":1.5}`;
  const { matchAll } = String.prototype;
  let looks = 0;
  String.prototype.matchAll = function (this: string, ...args): never {
    looks++;
    return Reflect.apply(matchAll, this, args) as never;
  };
  try {
    await using it = await open();
    it.socket.receive(`[${Array(100).fill(member).join()}]`);
    assertEquals((it.socket.take()[0] as unknown[]).length, 100);
  } finally {
    String.prototype.matchAll = matchAll;
  }
  assertEquals(looks, 1);
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

Deno.test("Calls are written with each version's members", async () => {
  const rows: [Version, call: (peer: Peer) => unknown, text: string][] = [
    [
      "2.0",
      (peer) => peer.notify("m", [1]),
      '{"jsonrpc":"2.0","method":"m","params":[1]}',
    ],
    ["2.0", (peer) => peer.notify("m"), '{"jsonrpc":"2.0","method":"m"}'],
    [
      "1.0",
      (peer) => peer.notify("m", [1]),
      '{"id":null,"method":"m","params":[1]}',
    ],
    ["1.0", (peer) => peer.notify("m"), '{"id":null,"method":"m","params":[]}'],
    [
      "bare",
      (peer) => peer.notify("m", [1]),
      '{"method":"m","params":[1]}',
    ],
    ["bare", (peer) => peer.notify("m"), '{"method":"m"}'],
    [
      "2.0",
      (peer) => peer.request("m", [1]),
      '{"jsonrpc":"2.0","method":"m","params":[1],"id":1}',
    ],
    [
      "2.0",
      (peer) => peer.request('a"b\n'),
      '{"jsonrpc":"2.0","method":"a\\"b\\n","id":1}',
    ],
    [
      "1.0",
      (peer) => peer.request("m", [1]),
      '{"id":1,"method":"m","params":[1]}',
    ],
    ["1.0", (peer) => peer.request("m"), '{"id":1,"method":"m","params":[]}'],
    [
      "bare",
      (peer) => peer.request("m", [1]),
      '{"method":"m","params":[1],"id":1}',
    ],
    ["bare", (peer) => peer.request("m"), '{"method":"m","id":1}'],
  ];
  for (const [version, call, text] of rows) {
    await using it = await open({ version });
    const called = call(it.peer);
    if (called instanceof Promise) called.catch(() => {});
    assertEquals(it.socket.sent, [text]);
  }
});

Deno.test("writeRequest and writeNotification write 2.0, whatever the params are", () => {
  const text = new JsonText('{"a": 1}');
  const rows: [object | undefined, string][] = [
    [undefined, ""],
    [[], ',"params":[]'],
    [[1, true, "a"], ',"params":[1,true,"a"]'],
    [["x".repeat(300)], `,"params":["${"x".repeat(300)}"]`],
    [[null, undefined], ',"params":[null,null]'],
    [[{ a: [1] }], ',"params":[{"a":[1]}]'],
    [{ a: 1 }, ',"params":{"a":1}'],
    [{ toJSON: () => [1] }, ',"params":[1]'],
    [text, ',"params":{"a": 1}'],
  ];
  for (const [params, written] of rows) {
    for (const method of ["m", 'a"b\n', "id"]) {
      const head = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}`;
      assertEquals(
        [
          writeRequest(7, method, params),
          writeRequest("[7", method, params),
          writeNotification(method, params),
        ],
        [
          `${head}${written},"id":7}`,
          `${head}${written},"id":"[7"}`,
          `${head}${written}}`,
        ],
      );
    }
  }
});

Deno.test("writeRequest and writeNotification refuse what is no array or object once it is written", () => {
  const refused = [
    ...[null, 1, "text", true, () => {}, [1n], [Symbol("s")], [() => 1]],
    ...[new Date(0), { toJSON: () => 5 }, { toJSON: () => undefined }],
  ];
  for (const params of refused as object[]) {
    assertThrows(() => writeRequest(7, "m", params), TypeError);
    assertThrows(() => writeRequest("[[[[[[[[", "m", params), TypeError);
    assertThrows(() => writeNotification("m", params), TypeError);
  }
});

Deno.test("writeResult and writeError write 2.0, whatever the result is", () => {
  const error = { code: 1, message: "No" };
  const rows: [unknown, string][] = [
    [0, "0"],
    [true, "true"],
    [null, "null"],
    [undefined, "null"],
    [{ toJSON: () => undefined }, "null"],
    ["a", '"a"'],
    ["x".repeat(1_000), `"${"x".repeat(1_000)}"`],
    [{ a: [1] }, '{"a":[1]}'],
    [new JsonText("[ 1]"), "[ 1]"],
  ];
  for (const [result, written] of rows) {
    for (const id of [1, "a", null]) {
      assertEquals(
        writeResult(id, result),
        `{"jsonrpc":"2.0","result":${written},"id":${JSON.stringify(id)}}`,
      );
    }
  }
  for (const result of [1n, () => 1, [Symbol("s")], { a: { b: () => 1 } }]) {
    assertThrows(() => writeResult(1, result), TypeError);
  }
  assertEquals(
    writeError("a", error),
    '{"jsonrpc":"2.0","error":{"code":1,"message":"No"},"id":"a"}',
  );
});

Deno.test("Responses are written with the members of their request's version", async () => {
  const rows: [request: string, version: Version, answers: string[]][] = [
    ['{"jsonrpc":"2.0","method":"M","id":"a"}', "2.0", [
      '{"jsonrpc":"2.0","result":0,"id":"a"}',
      '{"jsonrpc":"2.0","error":{"code":1,"message":"No"},"id":"a"}',
    ]],
    ['{"method":"M","params":[],"id":"a"}', "1.0", [
      '{"id":"a","result":0,"error":null}',
      '{"id":"a","result":null,"error":{"code":1,"message":"No"}}',
    ]],
    ['{"method":"M","id":"a"}', "bare", [
      '{"result":0,"id":"a"}',
      '{"error":{"code":1,"message":"No"},"id":"a"}',
    ]],
  ];
  for (const [request, version, answers] of rows) {
    await using it = await open({
      version,
      local: {
        zero: () => 0,
        refuse: () => {
          throw new RpcError(1, "No");
        },
      },
    });
    for (const name of ["zero", "refuse"]) {
      it.socket.receive(request.replace("M", name));
    }
    assertEquals(it.socket.sent, answers);
  }
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
    assertThrows(() => writeParams(params as object), TypeError);
  }
  assertEquals(writeParams({ toJSON: () => [1] }), "[1]");
});

Deno.test("completeLimits takes 0 for zero and refuses what is no count", () => {
  assertEquals(completeLimits(undefined), defaultLimits);
  for (const outgoing of [0, Infinity]) {
    assertEquals(completeLimits({ outgoing }).outgoing, outgoing);
  }
  assertEquals(completeLimits({ outgoing: 5 }).incoming, 1024);
  for (const limit of [-1, 1.5, NaN]) {
    assertThrows(
      () => completeLimits({ outgoing: limit }),
      RangeError,
      "outgoing",
    );
  }
});

Deno.test("writeValue writes what JSON.stringify does, undefined as null, and refuses what JSON loses", () => {
  const values = [
    ...[0, -0, 1, -1.5, 0.1 + 0.2, 1e21, 1e-7, 2 ** 53, Number.MAX_VALUE],
    ...[NaN, Infinity, -Infinity, true, false, null, undefined],
    ...["", "1", 'a "quoted" \u{1f600}', [1], { a: NaN }, [undefined]],
    ...[new Date(0), Object(1), Object("text")],
  ];
  for (const value of values) {
    assertEquals(writeValue(value), JSON.stringify(value) ?? "null");
  }
  for (const value of [1n, () => 1, Symbol("s"), [Symbol("s")]]) {
    assertThrows(() => writeValue(value), TypeError);
  }
});

Deno.test("readMessage tells no id of many digits among more than 2,048 keys id, and any other", () => {
  const write = (id: number, keys: number): string => {
    const params = Array.from({ length: keys - 1 }, () => ({ id: 1 }));
    return JSON.stringify({ jsonrpc: "2.0", method: "m", params, id });
  };
  const rows: [id: number, keys: number, type: Message["type"]][] = [
    [1.5, 2_048, "request"],
    [1.5, 2_049, "invalid"],
    [1, 2_049, "request"],
  ];
  for (const [id, keys, type] of rows) {
    assertEquals(read(write(id, keys)).type, type);
  }
});
