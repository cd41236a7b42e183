/**
 * Everything that a hostile peer may do, and where it is tried: in messages_test.ts
 * and connections_test.ts towards a server on Deno, a server on Node and a client,
 * each followed by the epilogue of stage.ts; elsewhere in detail.
 */

import { assert, assertEquals } from "@std/assert";

const messages = "hostile/messages_test.ts";
const connections = "hostile/connections_test.ts";
const scripted = "hostile_test.ts";

/** Each case, and the tests that try it, each by its file and its title's beginning. */
const cases: { readonly [name: string]: readonly [string, string][] } = {
  "The names of prototypes": [
    [messages, "Names of prototypes are no methods, and as params data"],
    ["method_test.ts", "Methods finds nothing that is inherited, computed or"],
  ],
  "1 MiB and one more": [
    [messages, "A message of 1 MiB is read, and one character more closes"],
    ["node_test.ts", "serve refuses a message before it has arrived whole"],
  ],
  "A batch of 101": [
    [messages, "A batch of 101 members is refused, and nothing of it"],
    [scripted, "Peer keeps a batch's answer within the message limit"],
  ],
  "A depth of 65, and of 500,000": [
    [messages, "A message nested too deep or 500,000 deep is refused"],
    [scripted, "Peer outlives 100,000 open brackets and other garbage"],
    ["depth_test.ts", "isDeeperThan judges text that is no JSON by its"],
  ],
  "Two equal ids in flight": [
    [messages, "Of two requests with one id the second is refused"],
    [scripted, "Peer keeps a batch's ids taken until the batch is answered"],
    [scripted, "Peer refuses what is invalid with id null while its id is"],
  ],
  "Every wrong type of id": [
    [messages, "Every wrong id is answered with id null"],
    [
      "message_test.ts",
      "readMessage refuses an id that would not come back as",
    ],
  ],
  "100,000 notifications in a burst": [
    [messages, "100,000 notifications in a burst are all handled"],
    [messages, "100,000 notifications in a burst close with 4429"],
    ["batch_test.ts", "connect goes on after a batch that says too much"],
  ],
  "10,000 calls to a slow method": [
    [messages, "Of 10,000 calls to a slow method 1,024 run"],
    ["call_test.ts", "A cancelled method counts as running until it stops"],
  ],
  "A reader that stops while 50 MB are sent to it": [
    [messages, "A reader that stops while 50 MB are sent to it is closed"],
    [
      "seconds/stopped_reader_test.ts",
      "A tab that reads nothing while a room is told",
    ],
  ],
  "400 silent sockets": [
    [connections, "400 silent sockets take nothing from those who speak"],
    [connections, "A silent server keeps no client that wants to leave"],
    [
      "attempt_test.ts",
      "connect outlives an address that can't be told, and",
    ],
    ["heartbeat_test.ts", "Peer notices within 35 seconds that the other side"],
  ],
  "Origins: foreign, null, with a suffix, of another port; a rebound Host": [
    [connections, "Foreign pages and rebound names get no connection"],
    ["admission_test.ts", "origins refuses a foreign page before authorize is"],
    ["origin_test.ts", "admitsOrigin lets a page connect to where it comes"],
    ["origin_test.ts", "admitsHost on a loopback address wants a name that"],
  ],
  "Methods that throw anything, return a cycle or a bigint, never settle": [
    [messages, "Methods that misbehave are answered, each by an error"],
    ["call_test.ts", "A method that gives no sign for too long is answered"],
  ],
  "Hooks that throw, at once and later": [
    [messages, "Hooks that fail ${how} change nothing for anybody"],
    [messages, "An onopen that fails ${how} ends its own connection alone"],
    ["admission_test.ts", "authorize that throws is answered a bare 500"],
    ["server_test.ts", "serve outlives a service whose constructor throws"],
    [scripted, "Peer lets no throw out of a listener, even when there is"],
  ],
  "10,000 unknown responses": [
    [messages, "10,000 unknown responses are ignored, counted, and not"],
  ],
  "A response twice": [
    [messages, "A response that comes twice counts once"],
  ],
  "A cut before the send, after it, after the execution": [
    [connections, "A connection cut before a call is sent says that it was"],
    [connections, "A connection cut after a call was sent says that it may"],
    [connections, "A connection cut after the answer changes nothing of it"],
    [connections, "A call whose connection is cut runs once at most"],
    ["waiting_test.ts", "Peer tells each caller the truth when a connection"],
    ["reconnect_test.ts", "Peer stops what ran for a lost connection"],
  ],
  "A peer that ignores the close": [
    [connections, "A peer that ignores the close is left after five seconds"],
    [scripted, "Peer gives a peer that ignores its close frame five seconds"],
    [
      "seconds/deaf_test.ts",
      "serve cuts a peer that ignores the close, and shuts",
    ],
  ],
  "References and streams that lie": [
    ["reference_test.ts", "Hostile references harm nobody"],
    ["reference_test.ts", "A callback that fails unheard harms nobody"],
    ["stream_test.ts", "A stream's question that never gets values is not"],
  ],
  "Frames without end that are nearly right": [
    ["seconds/fuzz_test.ts", "Peer outlives 100,000 seeded frames"],
  ],
};

Deno.test("Every case of hostility has its tests", async () => {
  const files = new Map<string, string>();
  const found = Object.entries(cases);
  assertEquals(found.length, 19);
  for (const [name, tests] of found) {
    assert(tests.length > 0, name);
    for (const [file, title] of tests) {
      let text = files.get(file);
      if (text === undefined) {
        text = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
        files.set(file, text);
      }
      assert(/["`]/.test(text[text.indexOf(title) - 1] ?? ""), title);
    }
  }
});
