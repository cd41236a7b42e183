import { assertEquals, assertThrows } from "@std/assert";
import type { BasePeer } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, result, settle } from "./scripted_socket.ts";
import { notification, open } from "./stage.ts";

eachPeer("Peer hears of a cancel, and tells of its progress", async (face) => {
  const gate = Promise.withResolvers<void>();
  const reasons: unknown[] = [];
  const said: boolean[] = [];
  await using it = await open(face, {
    local: {
      async work(this: BasePeer) {
        const { call } = this;
        said.push(call.progress(0.5));
        call.signal.addEventListener(
          "abort",
          () => reasons.push(call.signal.reason),
        );
        await gate.promise;
        said.push(call.progress(1));
      },
    },
  });
  assertThrows(() => it.peer.call, TypeError, "no method is running");
  assertEquals(await it.ask(request("a", "work")), [{
    jsonrpc: "2.0",
    method: "$/progress",
    params: { token: "a", value: 0.5 },
  }]);
  const cancel = { jsonrpc: "2.0", method: "$/cancelRequest" };
  assertEquals(await it.ask({ ...cancel, params: ["a"] }), [
    failure("a", -32800, "Request was cancelled"),
  ]);
  assertEquals(await it.ask({ ...cancel, params: { id: "a" } }), []);
  assertEquals((reasons[0] as DOMException).name, "AbortError");
  gate.resolve();
  await settle();
  assertEquals([said, it.socket.sent], [[true, false], []]);

  const seen: unknown[] = [];
  const onprogress = (value: unknown): void => {
    seen.push(value);
    if (value === 2) throw new Error("mine");
  };
  const call = it.peer.request("m", [], { onprogress });
  for (const value of [1, 2]) {
    it.socket.receive({
      jsonrpc: "2.0",
      method: "$/progress",
      params: { token: 1, value },
    });
  }
  it.socket.receive(result(1, "done"));
  assertEquals([await call, seen], ["done", [1, 2]]);
  assertEquals(it.thrown.map(String), ["Error: mine"]);
});

eachPeer("onprogress that rejects is told to onerror", async (face) => {
  const thrown: unknown[] = [];
  await using it = await open(face, {
    onerror: (error) => void thrown.push(error),
  });
  const { socket, peer } = it;
  const onprogress = (): Promise<never> => Promise.reject(new Error("mine"));
  const call = peer.request("m", [], { onprogress });
  socket.receive(notification("$/progress", { token: 1, value: 1 }));
  await settle();
  assertEquals(thrown.map(String), ["Error: mine"]);
  socket.receive(result(1, "done"));
  assertEquals(await call, "done");
});
