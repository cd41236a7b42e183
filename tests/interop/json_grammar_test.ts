/**
 * Every class of text that parsers of JSON are known to disagree about, in
 * frames made by hand to a real server: what is no JSON, what is JSON and no
 * request, and what is fine within a request.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8259} for the grammar
 * @see {@link https://github.com/nst/JSONTestSuite} for the classes
 */

import { assertEquals } from "@std/assert";
import { connect } from "../../client.ts";
import { type CloseInfo, Peer } from "../../mod.ts";
import { serve } from "../../server.ts";
import { until } from "./processes.ts";
import { frame, Opcode, RawSocket } from "./raw_socket.ts";

const quietly = {
  hostname: "127.0.0.1",
  port: 0,
  onListen() {},
  limits: { depth: Infinity, invalidMessages: Infinity },
};

const closes: CloseInfo[] = [];

class Service extends Peer {
  override local = {
    echo: (value: unknown) => value,
    /** The depth of arrays in arrays. */
    depth(value: unknown) {
      let depth = 0;
      for (; Array.isArray(value); value = value[0]) depth++;
      return depth;
    },
  };
  override onclose(event: CloseInfo) {
    closes.push(event);
  }
}

/** Deeper than a recursive parser's stack. */
const deep = 100_000;

/** Texts outside the grammar, wherever a value may stand. */
// deno-fmt-ignore: a line for each would be pages.
const noJson: { readonly [section: string]: readonly string[] } = {
  "structure": [
    "[", "]", "{", "}", "[}", "{]", "[1", "[1,", "[,", "[,1]", "[1,,2]", "[1,]",
    "[,]", "[1]]", "[1}", "[[1]", "[1 2]", "[1;2]", "[1:2]", '["a":1]', "[][]",
    "[1]x", "[1]]]", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{,}",
    '{,"a":1}', '{"a" 1}', '{"a"::1}', '{"a":}', '{"a":1:2}', '{"a","b"}',
    '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1,,"b":2}', '{"a":1}}', "{}{}",
    "{}[]", "1 2", "1,", ",1", ":", ",", "(1)", "<null>", "[<null>]", "=1",
    "{1:1}", "{null:1}", "{[]:1}", "{a:1}", "{'a':1}", '{"a":a}', '{"a"=1}',
    '{"a"=>1}', "{...a}", "[...[]]", "function(){}", "`a`", "/a/", "@", "*",
    "\\", "$", "#", "\u2060", "\u200b",
    // White space is four characters, and nothing else.
    "\f[1]", "[\v1]", "\u00a0[1]", "[\u00851]", "\u2028[1]", "[1]\u2029",
    "\u3000[1]",
    // A byte order mark, but at the beginning, where it is none of the text.
    "[\ufeff1]", "[1]\ufeff", "\ufeff\ufeff[1]",
    // NUL, at no end of anything.
    "\0", "\0[1]", "[1]\0", "[\0]", "1\0", "{}\0", "[".repeat(deep),
    '{"":'.repeat(deep), '[{"":'.repeat(deep), "]".repeat(deep),
    "[".repeat(deep) + "]".repeat(deep - 1),
  ],
  "comments": [
    "//", "/", "/**/", "1//", "1/**/", "/*a*/1", "[1/*a*/]", "[1//a\n]",
    '{"a":/*a*/1}', '{"a"/*a*/:1}', "1#a", "<!--a-->1", "--1", "1--a",
  ],
  "literals": [
    "nul", "nulll", "Null", "NULL", "tru", "truee", "True", "TRUE", "fals",
    "False", "FALSE", "None", "nil", "undefined", "NaN", "nan", "-NaN", "+NaN",
    "Infinity", "-Infinity", "+Infinity", "Inf", "-inf", "∞", "t", "nu ll",
    "truefalse", "true false", "tr\\u0075e", "yes",
  ],
  "numbers": [
    "-", "+", "+1", "--1", "++1", "- 1", "-a", "00", "01", "-01", "012", "-00",
    "0 1", "1.", "-1.", ".1", "-.1", ".", "-.", "1..2", "1.2.3", "0.", "1. 2",
    "1.e1", "2.e+3", ".e1", "1e", "1E", "1e+", "1E-", "0e", "0E+", "1e++1",
    "1e1.5", "1e1e1", "1eE2", "1 e1", "1e 1", "e1", "1x", "1a", "0x1", "0x",
    "0X1F", "0b1", "0o7", "1_000", "1'000", "1 000", "1n", "1f", "1L", "0.3e",
    "1/2", "1%", "½", "1²", "\uff11", "\u0661", "-\u0661", "1\u00a0",
    "1\u066b5", "0x1p3", "1.0e", "1.0e-", "1e\u0031x", "1e-", "$1", "1,5x",
  ],
  "strings": [
    '"', '"a', 'a"', "a", "abc", "'a'", "'", "\"a'", "“a”", "«a»", '""a', 'a""',
    '""""', '"a" "b"', '"a"b"', '"a""b"', '"a"+"b"',
    // Escapes there are none of.
    '"\\"', '"\\', '"\\\\\\"', '"\\x41"', '"\\a"', '"\\v"', '"\\0"', '"\\1"',
    '"\\\'"', '"\\e"', '"\\`"', '"\\ "', '"\\U0041"', '"\\N"', '"\\é"', '"\\🙂"',
    '"\\\n"', '"\\\r\n"', '"\\\0"', '"\\\u2028"', '\\"a"', "\\u0022a\\u0022",
    '"\\u"', '"\\u4"', '"\\u41"', '"\\u004"', '"\\u00g1"', '"\\u 041"',
    '"\\u-041"', '"\\u+041"', '"\\u{41}"', '"\\u00\\u41"', '"\\uD800\\"',
    '"\\uD800\\u"', '"\\uD800\\u1"', '"\\uD800\\u1x"', '"\\uD800\\x"',
    // Control characters.
    ...Array.from({ length: 0x20 }, (_, it) => `"${String.fromCharCode(it)}"`),
    '"a\nb"', '{"\t":1}', '{"a\0b":1}', '["\x1f"]',
  ],
};

/** JSON that is no request: each is answered as one invalid request. */
// deno-fmt-ignore: a line for each would be pages.
const noRequest: readonly string[] = [
  "null", "true", "false", "0", "-0", "1", "-1", "1.5", "1e5", "1E-5", "0e0",
  "1e400", "-1e400", "1e-400", "123456789012345678901234567890",
  "1".repeat(999), '""', '"a"', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"',
  '"null"', '"[]"', '"{\\"jsonrpc\\":\\"2.0\\"}"', '"\u2028"', '"\x7f"',
  '"\uffff"', '"🙂"', "[]", " [ ] ", "\t\n\r {} \t\n\r", "{}", '{"a":1}',
  '{"":""}', '{"a":{}}', '{"a":1,"a":2}', '{"\\u0000":1}', '{"jsonrpc":"2.0"}',
  '{"jsonrpc":2.0}', '{"jsonrpc":null}', '{"params":[]}', '{"Method":"echo"}',
  '{"METHOD":"echo"}', '{" method":"echo"}',
  '{"__proto__":{"method":"echo","id":1}}', '{"constructor":1}',
  '{"toString":1,"valueOf":2,"toJSON":3,"then":4}',
  '{"jsonrpc":"2.0","method":"echo","method":1}',
  '{"jsonrpc":"2.0","method":"echo","id":[]}',
  '{"jsonrpc":"2.0","method":"echo","id":{}}',
  '{"jsonrpc":"2.0","method":"echo","id":true}',
  '{"jsonrpc":"2.0","method":"echo","id":1,"id":false}',
  '{"jsonrpc":"2.0","method":"echo","id":1e400}',
  '{"jsonrpc":"2.0","method":"echo","id":9007199254740993}',
  '{"":'.repeat(deep) + "1" + "}".repeat(deep),
];

/** The same inside an array: a batch of that many invalid requests. */
const noRequests: readonly [text: string, count: number][] = [
  ["[null]", 1],
  ["[1,true,null]", 3],
  ['["a"]', 1],
  ["[[]]", 1],
  ["[{}]", 1],
  ['[[],{},"",0]', 4],
  ["[\n1e400\t]\r", 1],
  ["[".repeat(deep) + "]".repeat(deep), 1],
];

/** Values that a method is given as they are, and as what they come back. */
// deno-fmt-ignore: a line for each would be pages.
const values: readonly (string | [text: string, back: string])[] = [
  "null", "true", "false", "0", "1", "-1", "1.5", "-1.5", "9007199254740991",
  "-9007199254740991", "1e+300", "5e-324", "1.7976931348623157e+308",
  ["-0", "0"], ["-0.0", "0"], ["0e0", "0"], ["0E+9", "0"], ["1E2", "100"],
  ["1e-2", "0.01"], ["1.50", "1.5"], ["20e1", "200"], ["123e65", "1.23e+67"],
  // What a double can't hold: nearest, nothing, and too much.
  ["9007199254740993", "9007199254740992"],
  ["0.1000000000000000055511151231257827", "0.1"], ["1e-400", "0"],
  ["-1e-400", "0"], ["1e400", "null"], ["-1e400", "null"],
  ["1" + "0".repeat(400), "null"], [`0.${"0".repeat(400)}1`, "0"],
  ["1e00000000001", "10"],
  '""', '"a"', '" "', '"\\""', '"\\\\"',
  '"\\b\\f\\n\\r\\t"', '"\\u0000"', '"\\u001f"', '"\x7f"', '"é"',
  '"\u2028\u2029"', '"\u00a0\ufeff"', '"\uffff"', '"🙂"', '"\u{10ffff}"', '"//"',
  '"/*a*/"', '"null"', '"NaN"', '"\'"', '"`${a}"', ['"\\/"', '"/"'],
  ['"\\u0041"', '"A"'], ['"\\u00e9\\u00E9"', '"éé"'], ['"\\u2028"', '"\u2028"'],
  ['"\\u0022\\u005c"', '"\\"\\\\"'], ['"\\ud83d\\ude42"', '"🙂"'],
  ['"\\uD83D\\uDE42"', '"🙂"'], ['"\\u0000a\\u0008"', '"\\u0000a\\b"'],
  ['"\\\\u0041"', '"\\\\u0041"'], ['"\\ufeff"', '"\ufeff"'],
  ['"\\uffff\\ufffe"', '"\uffff\ufffe"'],
  // Halves of a pair stay what they are.
  '"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"', '"a\\ud800b"',
  '"\\ud800\\ud800"', ['"\\uDFFF"', '"\\udfff"'],
  ['"\\ud800\\u0041"', '"\\ud800A"'], ['"\\ud83d\\ud83d\\ude42"', '"\\ud83d🙂"'],
  ['"\\ud800🙂"', '"\\ud800🙂"'], '{"\\ud800":1}',
  "[]", "{}", "[[]]", "[{}]", '{"a":[]}', "[null]", '[1,"a",true,{"b":null}]',
  [" [ 1 , 2 ] ", "[1,2]"], ["\t\n\r {\n} \t", "{}"],
  [' { "a" : 1 , "b" : [ ] } ', '{"a":1,"b":[]}'], '{"":0}', '{" ":0}',
  ['{"\\u0061":1}', '{"a":1}'], '{"\\u0000":1}', '{"é":1}',
  // Of duplicate keys the last one counts.
  ['{"a":1,"a":2}', '{"a":2}'], ['{"a":1,"\\u0061":2}', '{"a":2}'],
  ['{"a":{"b":1},"a":{"c":2}}', '{"a":{"c":2}}'],
  // Data, whatever it is called.
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":1}}}', '{"then":1}',
  '{"hasOwnProperty":1}', '{"length":-1}',
  '{"jsonrpc":"2.0","method":"echo","id":1}', '["__proto__"]',
];

const still =
  '{"jsonrpc":"2.0","method":"echo","params":["still"],"id":"still"}';
const here = '{"jsonrpc":"2.0","result":"still","id":"still"}';

/**
 * Sends a frame.
 *
 * @returns All that it is answered with: whatever comes before the answer to an
 * honest request that follows it.
 */
async function exchange(
  socket: RawSocket,
  payload: string | Uint8Array,
  opcode: number = Opcode.Text,
): Promise<string[]> {
  await socket.send(frame(opcode, payload), frame(Opcode.Text, still));
  const answers: string[] = [];
  for (;;) {
    const text = await socket.text();
    if (text === undefined) {
      throw new Error(`The connection ended: ${show(payload)}`);
    }
    if (text === here) return answers;
    answers.push(text);
  }
}

/** A case as its failure shall name it. */
function show(payload: string | Uint8Array): string {
  const text = typeof payload === "string"
    ? JSON.stringify(payload)
    : `bytes ${Array.from(payload, (it) => it.toString(16)).join(" ")}`;
  return text.length > 80 ? `${text.slice(0, 80)}... (${text.length})` : text;
}

function failure(code: number, message: string): string {
  return `{"jsonrpc":"2.0","error":{"code":${code},"message":"${message}"},"id":null}`;
}

const parseError = failure(-32700, "Parse error");

/** The codes and ids that a frame was answered with. */
function codes(answers: readonly string[]): unknown {
  return answers.map((text) => {
    const answer = JSON.parse(text);
    const of = (it: { error?: { code: number }; id: unknown }) => [
      it.error?.code,
      it.id,
    ];
    return Array.isArray(answer) ? answer.map(of) : of(answer);
  });
}

const request = (params: string): string =>
  `{"jsonrpc":"2.0","method":"echo","params":${params},"id":1}`;

for (const [section, texts] of Object.entries(noJson)) {
  Deno.test(`serve answers text that is no JSON with a parse error: ${section}`, async () => {
    await using server = serve(Service, quietly);
    using socket = await RawSocket.connect(server.url);
    for (const text of texts) {
      for (
        const it of [text, request(`[${text}]`), `[${request("[]")},${text}]`]
      ) {
        assertEquals(await exchange(socket, it), [parseError], show(it));
      }
    }
    assertEquals(await exchange(socket, request("[1]")), [
      '{"jsonrpc":"2.0","result":1,"id":1}',
    ]);
  });
}

Deno.test("serve answers a binary frame that is no UTF-8 with a parse error", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  const [head, tail] = request('["?"]').split("?").map((text) =>
    new TextEncoder().encode(text)
  );
  for (const bytes of badUtf8) {
    const within = Uint8Array.from([...head!, ...bytes, ...tail!]);
    for (const it of [Uint8Array.from(bytes), within]) {
      assertEquals(
        await exchange(socket, it, Opcode.Binary),
        [parseError],
        show(it),
      );
    }
  }
  // UTF-16 and UTF-32, with and without their byte order marks.
  const text = request("[1]");
  const marked = "\ufeff" + text;
  for (
    const [width, it] of [2, 4].flatMap((width) =>
      [text, marked].map((it) => [width, it] as const)
    )
  ) {
    const units = Array.from(it, (character) => character.charCodeAt(0));
    for (const isLittle of [true, false]) {
      const view = new DataView(new ArrayBuffer(units.length * width));
      units.forEach((unit, index) =>
        width === 2
          ? view.setUint16(index * 2, unit, isLittle)
          : view.setUint32(index * 4, unit, isLittle)
      );
      const bytes = new Uint8Array(view.buffer);
      assertEquals(
        await exchange(socket, bytes, Opcode.Binary),
        [parseError],
        show(bytes),
      );
    }
  }
});

/** Sequences of bytes that no UTF-8 has in it. */
const badUtf8: readonly (readonly number[])[] = [
  [0xff],
  [0xfe],
  [0x80], // A continuation of nothing.
  [0xbf, 0xbf],
  [0xc3], // Nothing that continues it.
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x99],
  [0xc3, 0x28],
  [0xc0, 0x80], // Longer than it need be.
  [0xc0, 0xaf],
  [0xc1, 0xbf],
  [0xe0, 0x80, 0xaf],
  [0xf0, 0x80, 0x80, 0xaf],
  [0xed, 0xa0, 0x80], // Half of a pair of UTF-16.
  [0xed, 0xbf, 0xbf],
  [0xed, 0xa0, 0xbd, 0xed, 0xb9, 0x82],
  [0xf4, 0x90, 0x80, 0x80], // Above U+10FFFF.
  [0xf5, 0x80, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
  [0xe9], // Latin-1.
];

Deno.test("serve reads a request in a binary frame, with a byte order mark too", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  for (const mark of ["", "\ufeff"]) {
    assertEquals(
      await exchange(socket, mark + request('["é🙂"]'), Opcode.Binary),
      ['{"jsonrpc":"2.0","result":"é🙂","id":1}'],
    );
  }
});

Deno.test("serve answers JSON that is no request with Invalid Request", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  // So that the connection's version is settled.
  assertEquals((await exchange(socket, request("[]"))).length, 1);
  for (const text of noRequest) {
    assertEquals(
      codes(await exchange(socket, text)),
      [[-32600, null]],
      show(text),
    );
  }
  for (const [text, count] of noRequests) {
    assertEquals(
      codes(await exchange(socket, text)),
      [Array.from({ length: count }, () => [-32600, null])],
      show(text),
    );
  }
});

Deno.test("serve answers nothing to a frame with nothing in it", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  for (const text of ["", " ", "\n", "\r\n", "\t \t"]) {
    for (const opcode of [Opcode.Text, Opcode.Binary]) {
      assertEquals(await exchange(socket, text, opcode), [], show(text));
    }
  }
});

Deno.test("serve gives a method every value of JSON as it is", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  for (const value of values) {
    const [text, back] = typeof value === "string" ? [value, value] : value;
    const result = `{"jsonrpc":"2.0","result":${back},"id":1}`;
    const call = request(`[${text}]`);
    for (
      const [it, answer, opcode] of [
        [call, result, Opcode.Text],
        [`\t\n\r ${call} \r\n\t`, result, Opcode.Text],
        [`[ ${call} ]`, `[${result}]`, Opcode.Text],
        [call, result, Opcode.Binary],
      ] as const
    ) {
      assertEquals(await exchange(socket, it, opcode), [answer], show(it));
    }
  }
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
  assertEquals(
    Object.prototype.hasOwnProperty.call(Object.prototype, "polluted"),
    false,
  );
});

Deno.test("serve gives a method arrays nested 100,000 deep", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  const nested = "[".repeat(deep) + "]".repeat(deep);
  const call = (method: string, id: string) =>
    `{"jsonrpc":"2.0","method":"${method}","params":[${nested}],"id":${id}}`;
  assertEquals(await exchange(socket, call("depth", "1")), [
    `{"jsonrpc":"2.0","result":${deep},"id":1}`,
  ]);
  assertEquals(await exchange(socket, call("echo", "2")), [
    `{"jsonrpc":"2.0","result":${nested},"id":2}`,
  ]);
});

Deno.test("serve loses a connection whose text is no UTF-8, and no other", async () => {
  await using server = serve(Service, quietly);
  await using neighbour = connect<Service["local"]>(server.url);
  assertEquals(await neighbour.remote.echo("before"), "before");
  for (const bytes of badUtf8.map((it) => Uint8Array.from(it))) {
    const whole = [frame(Opcode.Text, bytes)];
    // Followed by a letter: Deno lets a message of several frames pass if a
    // character is incomplete at its very end, and drops what there is of it.
    const parts = [
      frame(Opcode.Text, bytes.subarray(0, 1), false),
      frame(Opcode.Continuation, Uint8Array.from([...bytes.subarray(1), 0x78])),
    ];
    for (const frames of [whole, parts]) {
      closes.length = 0;
      using socket = await RawSocket.connect(server.url);
      assertEquals(await exchange(socket, request("[]")), [
        '{"jsonrpc":"2.0","result":null,"id":1}',
      ]);
      const running = neighbour.remote.echo("meanwhile");
      await socket.send(...frames);
      // The runtime's own doing. Deno cuts it; a close frame would say 1007.
      const last = await socket.receive();
      if (last !== undefined) {
        assertEquals(last.opcode, Opcode.Close, show(bytes));
        assertEquals([...last.payload.subarray(0, 2)], [0x03, 0xef]);
      }
      assertEquals(await running, "meanwhile");
      await until(() => closes.length > 0, "its peer was told");
      assertEquals(
        closes.map(({ wasClean }) => wasClean),
        [false],
        show(bytes),
      );
      assertEquals(server.peers.size, 1);
    }
  }
  assertEquals(await neighbour.remote.echo("after"), "after");
});

Deno.test("serve reads a character that is cut by the end of a frame", async () => {
  await using server = serve(Service, quietly);
  using socket = await RawSocket.connect(server.url);
  const bytes = new TextEncoder().encode(request('["🙂"]'));
  const cut = bytes.indexOf(0xf0) + 2;
  await socket.send(frame(Opcode.Text, bytes.subarray(0, cut), false));
  await socket.send(frame(Opcode.Continuation, bytes.subarray(cut)));
  assertEquals(await socket.text(), '{"jsonrpc":"2.0","result":"🙂","id":1}');
});

Deno.test("serve keeps a connection alive whose first frame is no JSON", async () => {
  await using server = serve(Service, quietly);
  for (const text of ["{", "nonsense", "\0", "null", "5", "[]", "{}"]) {
    using socket = await RawSocket.connect(server.url);
    assertEquals((await exchange(socket, text)).length, 1, show(text));
  }
});
