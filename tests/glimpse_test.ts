/** What is told of a message that is not read. */

import { assertEquals } from "@std/assert";
import { type Glimpse, glimpse } from "../src/wire/glimpse.ts";

const long = "x".repeat(5_000);

/** A message, and what is told of it. */
const rows: [text: string, kind: Glimpse["kind"], id: Glimpse["id"]][] = [
  // As this library writes them.
  [`{"jsonrpc":"2.0","method":"m","params":["${long}"],"id":5}`, "call", 5],
  [`{"jsonrpc":"2.0","method":"m","params":["${long}"]}`, "call", undefined],
  [`{"jsonrpc":"2.0","result":"${long}","id":5}`, "response", 5],
  [`{"jsonrpc":"2.0","error":{"data":"${long}"},"id":5}`, "response", 5],
  // As others do.
  [`{"id":5,"result":{"data":"${long}"}}`, "response", 5],
  [`{"id":5,"jsonrpc":"2.0","result":["${long}"]}`, "response", 5],
  [`{"result":["${long}"],"error":null,"id":5}`, "response", 5],
  [`{"id":5,"error":null,"result":["${long}"]}`, "response", 5],
  [`{"params":["${long}"],"method":"m","id":5,"jsonrpc":"2.0"}`, "call", 5],
  [` {\n "id" : "a b" ,\t"method":"m\\"","params":{}}`, "call", "a b"],
  [`{"result":"${long}", "id" : "five" , "more":"\\"" }\n`, "response", "five"],
  [`{"method":"${long}","id":null}`, "call", null],
  // An id within something else is none.
  [`{"result":["${long}",{"a":1,"id":5}]}`, "response", undefined],
  [`{"result":{"a":"${long}","id":5}}`, "response", undefined],
  [`{"id":5,"result":{"a":"${long}","id":6}}`, "response", 5],
  [`{"result":{"a":"${long}","id":5},"more":1}`, "response", undefined],
  [`{"result":"${long},\\"id\\":5}"}`, "response", undefined],
  [`{"result":{"method":"m"},"id":5}`, "response", 5],
  // One that would not come back as it was written.
  [`{"id":9007199254740993,"method":"${long}"}`, "call", undefined],
  [`{"id":1e3,"method":"${long}"}`, "call", undefined],
  [`{"id":"\\u0041","method":"${long}"}`, "call", undefined],
  [`{"id":true,"method":"${long}"}`, "call", undefined],
  // Beyond what is looked at.
  [
    `{"result":1,"id":5,"more":["${long}"],"other":["${long}"]}`,
    "response",
    5,
  ],
  [`{"result":["${long}"],"id":5,"more":"${long}"}`, "response", undefined],
  [`{"more":["${long}"],"result":1,"id":5}`, undefined, 5],
  // No message.
  [`[{"id":5,"result":"${long}"}]`, undefined, undefined],
  [`"${long}"`, undefined, undefined],
  [long, undefined, undefined],
  ["", undefined, undefined],
  ["{", undefined, undefined],
  [`{"__proto__":1,"constructor":2,"a":["${long}"]}`, undefined, undefined],
];

Deno.test("glimpse tells what a message is, and its id, by its two ends", () => {
  for (const [text, kind, id] of rows) {
    assertEquals([text, glimpse(text)], [text, { kind, id }]);
  }
});
