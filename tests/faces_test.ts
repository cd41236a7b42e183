/** What differs between the two peers: the table that says so is true, and in the guide. */

import { assertEquals } from "@std/assert";
import { Peer, references, streams } from "../mod.ts";
import * as slim from "../slim.ts";
import {
  differences,
  differencesTable,
  type Face,
  faces,
  small,
} from "./faces.ts";
import { openShared, request } from "./scripted_socket.ts";
import { codes, echo, lab, open, take } from "./stage.ts";

/** Whether a peer that is asked for no part has one. */
const probes: { readonly [part: string]: (face: Face) => Promise<boolean> } = {
  async streams(face) {
    const local = {
      async *count() {
        yield 1;
      },
    };
    await using it = await open(face, { use: [], local });
    it.socket.receive(request(1, "count"));
    return Object.hasOwn(take(it.socket)[0]!.result as object, "token");
  },

  async references(face) {
    await using it = await open(face, { use: [], local: { lend: () => echo } });
    it.socket.receive(request(1, "lend"));
    return take(it.socket)[0]!.error === undefined;
  },

  async versions(face) {
    await using it = await open(face, { local: { echo } });
    it.socket.receive({ id: 1, method: "echo", params: [] });
    return !Object.hasOwn(take(it.socket)[0]!, "jsonrpc");
  },

  async batches(face) {
    await using it = await open(face, { local: { echo } });
    it.socket.receive([request(1, "echo")]);
    const [answer] = it.socket.take();
    if (!Array.isArray(answer)) {
      assertEquals((answer as { error: { code: number } }).error.code, -32600);
    }
    return Array.isArray(answer);
  },

  async sharedFrames(face) {
    await using it = lab(face, { sharedFrames: true });
    return it.opened[0]!.endsWith(" jsonrpcws.v1");
  },

  async heartbeat(face) {
    await using it = lab(face, { reconnect: false, sharedFrames: true });
    openShared(it.socket);
    await it.time.flow(36_000);
    return it.client.state === "closed";
  },

  async slowReaders(face) {
    await using it = await open(face);
    it.socket.bufferedAmount = Infinity;
    const text = "x".repeat(65_536);
    it.peer.notify("m", [text]);
    it.peer.notify("m", [text]);
    return it.socket.sent.length === 1;
  },

  async bounds(face) {
    await using it = await open(face, { local: { echo } });
    const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
    it.socket.receive(
      `{"jsonrpc":"2.0","method":"echo","params":${deep},"id":1}`,
    );
    return codes(it.socket)[0] === -32600;
  },

  async traces(face) {
    let asked = 0;
    await using it = await open(face, {
      trace: {
        send: () => void asked++,
        receive: (_context, run) => run(),
      },
    });
    it.peer.request("m").catch(() => {});
    return asked > 0;
  },

  async crowds(face) {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using it = await open(face, { local: { wait: () => promise } });
    for (let id = 1; id <= 1_025; id++) it.socket.receive(request(id, "wait"));
    const isWaiting = it.socket.take().length === 0;
    resolve();
    return isWaiting;
  },

  async answers(face) {
    const statuses: unknown[] = [];
    await using it = lab(face, {
      onattempt: ({ status }) => void statuses.push(status),
    });
    const message = "Invalid status code: 503";
    it.socket.dispatch({ type: "error", message });
    it.socket.end(1006);
    return statuses[0] === 503;
  },

  async hints(face) {
    class Service {
      query(): void {}
    }
    await using it = await open(face, { local: new Service() });
    it.socket.receive(request(1, "query"));
    return it.thrown.length > 0;
  },

  async status(face) {
    await using it = await open(face);
    return (it.peer as Partial<Peer>).connection?.get().state === "open";
  },

  async limits(face) {
    await using it = await open(face, { limits: { sentLength: 50 } });
    try {
      return !it.peer.notify("m", ["x".repeat(50)]);
    } catch (error) {
      return error instanceof RangeError;
    }
  },

  async draining(face) {
    await using it = await open(face, { local: { echo } });
    await (it.peer as Partial<Peer>).finish?.();
    it.socket.receive(request(1, "echo"));
    return codes(it.socket)[0] === -32009;
  },

  async unmatched(face) {
    await using it = await open(face);
    it.socket.receive({ jsonrpc: "2.0", result: 1, id: 99 });
    return (it.peer as Partial<Peer>).unmatched === 1;
  },
};

for (const part of Object.keys(differences)) {
  Deno.test(`The whole peer has ${part} unasked, the small one has not`, async () => {
    const has = [];
    for (const face of faces) has.push(await probes[part]!(face));
    assertEquals(has, [true, false]);
  });
}

Deno.test("The small peer has the streams and references that use lists", async () => {
  const given: Face = {
    ...small,
    peer: (ws, options) =>
      small.peer(ws, { ...options, use: [streams, references] }),
  };
  assertEquals(await probes["streams"]!(given), true);
  assertEquals(await probes["references"]!(given), true);
});

Deno.test("differences lists every member that only one of the peers has", () => {
  const membersOf = ({ prototype }: { prototype: object }): string[] =>
    Object.getOwnPropertyNames(prototype).filter((it) => it !== "constructor");
  const listed = Object.values(differences).flatMap(({ members = [] }) =>
    members
  );
  assertEquals(membersOf(Peer).sort(), listed.sort());
  assertEquals(membersOf(slim.Peer), []);
  assertEquals(
    Object.getPrototypeOf(Peer),
    Object.getPrototypeOf(slim.Peer),
  );
});

Deno.test("The guide's table of differences is that of tests/faces.ts", async () => {
  const page = await Deno.readTextFile(
    new URL("../docs/guide/small-client.md", import.meta.url),
  );
  const block = /<!-- differences -->\n+(.*?)\n+<!-- \/differences -->/s.exec(
    page,
  );
  assertEquals(cellsOf(block?.[1] ?? ""), cellsOf(differencesTable()));
});

/** The cells of a table, however it is padded. */
function cellsOf(table: string): string[][] {
  return table.trim().split("\n").map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim().replace(/^-+$/, "-"))
  );
}
