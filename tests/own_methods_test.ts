import { assertEquals } from "@std/assert";
import { eachPeer } from "./faces.ts";
import { settle } from "./scripted_socket.ts";
import { notification, open, take } from "./stage.ts";

eachPeer(
  "Peer answers a wrong use of its own methods once, and no notification of them",
  async (face) => {
    const thrown: unknown[] = [];
    await using it = await open(face, {
      onerror: (error) => void thrown.push(error),
    });
    const { socket } = it;
    const methods = [
      "$/cancelRequest",
      "$/progress",
      "$/enumerator/next",
      "$/enumerator/abort",
      "$/enumerator/constructor",
      "$/releaseMarshaledObject",
      "$/invokeProxy/1/invoke",
      "$/invokeProxy/99999999999999999/invoke",
      "$/invokeProxy//invoke",
      "rpc.discover",
    ];
    const rows = [
      undefined,
      null,
      [],
      {},
      [null],
      [{}],
      [[]],
      ["__proto__"],
      { id: {} },
      { id: "__proto__" },
      { token: [] },
      { token: "__proto__" },
      { handle: {} },
      { handle: -1, ownedBySender: "x" },
    ];
    const ids: number[] = [];
    for (const method of methods) {
      for (const params of rows) {
        ids.push(ids.length + 1);
        socket.receive({ ...notification(method, params), id: ids.length });
        socket.receive(notification(method, params));
      }
    }
    await settle();
    const answered = take(socket).map(({ id }) => id as number);
    assertEquals(answered.sort((a, b) => a - b), ids);
    assertEquals(thrown, []);
  },
);
