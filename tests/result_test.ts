import { assert, assertEquals, assertRejects } from "@std/assert";
import { method, RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, result } from "./scripted_socket.ts";
import { codes, open, pair } from "./stage.ts";

for (const value of [0, false, "", null, []]) {
  eachPeer(
    `Peer takes ${JSON.stringify(value)} for a result, and gives it`,
    async (face) => {
      await using it = await open(face, { local: { echo: () => value } });
      const call = it.peer.request("m");
      it.socket.receive(result(1, value));
      assertEquals(await call, value);
      it.socket.take();
      assertEquals(await it.ask(request(5, "echo")), [result(5, value)]);
    },
  );
}

eachPeer(
  "Peer writes undefined as null, and reads a response without a result",
  async (face) => {
    await using it = await open(face, {
      local: { now: () => {}, later: async () => {} },
    });
    for (const name of ["now", "later"]) {
      assertEquals(await it.ask(request(5, name)), [result(5, null)]);
    }
    const call = it.peer.request("m");
    it.socket.receive({ id: 1 });
    assertEquals(await call, undefined);
    const beside = it.peer.request("m");
    it.socket.receive({ id: 2, result: 7, error: null });
    assertEquals(await beside, 7);
  },
);

eachPeer(
  "Peer hides what a method throws, unless it is an RpcError",
  async (face) => {
    const thrown: unknown[] = [
      new Error("secret"),
      "secret",
      0,
      null,
      undefined,
    ];
    for (const value of thrown) {
      await using it = await open(face, {
        local: {
          now: () => {
            throw value;
          },
          later: () => Promise.reject(value),
        },
      });
      for (const name of ["now", "later"]) {
        assertEquals(await it.ask(request(1, name)), [
          failure(1, -32603, "Internal error"),
        ]);
      }
      assertEquals(it.thrown, [value, value]);
    }
    await using it = await open(face, {
      local: {
        told: () => {
          throw new RpcError(409, "Taken", { name: "ann" });
        },
        unwritable: () => {
          throw new RpcError(1, "no", 5n);
        },
        long: () => {
          throw new RpcError(1, "x".repeat(1_048_576));
        },
      },
    });
    assertEquals(await it.ask(request(1, "told")), [{
      jsonrpc: "2.0",
      error: { code: 409, message: "Taken", data: { name: "ann" } },
      id: 1,
    }]);
    assertEquals(await it.ask(request(1, "unwritable")), [
      failure(1, -32603, "Internal error"),
    ]);
    const [tooLong] = await it.ask(request(1, "long")) as [
      { error: { code: number } },
    ];
    assertEquals(tooLong.error.code, -32008);
  },
);

eachPeer(
  "Peer answers a result that can't be written with an error",
  async (face) => {
    const cycle: { self?: object } = {};
    cycle.self = cycle;
    const results = [5n, cycle, {
      toJSON() {
        throw new Error("no");
      },
    }];
    await using it = await open(face, {
      local: { give: (index: number) => results[index] },
    });
    for (const index of results.keys()) {
      assertEquals(await it.ask(request(1, "give", [index])), [
        failure(1, -32603, "Internal error"),
      ]);
    }
    assertEquals(it.thrown.length, 3);
  },
);

for (const error of ["text", { message: "text" }, 0, false, ""]) {
  eachPeer(`Peer reads the error ${JSON.stringify(error)}`, async (face) => {
    await using it = await open(face);
    const call = assertRejects(() => it.peer.request("m"), RpcError);
    it.socket.receive({ id: 1, error });
    assertEquals((await call).code, 0);
  });
}

eachPeer(
  "Peer replaces an error that is too long to be sent, and stays open",
  async (face) => {
    const sentLength = face.most("sentLength", 2_000);
    const limits = { sentLength };
    const [server, client] = pair(face, {
      limits,
      local: {
        refuse: () => {
          throw new RpcError(1, "No", "x".repeat(sentLength));
        },
        echo: (value: unknown) => value,
      },
    }, { limits });
    const error = await assertRejects(() => client.request("refuse"), RpcError);
    assertEquals(error.code, -32008);
    assertEquals(await client.request("echo", [1]), 1);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "method answers an unknown name as long as a message within the limit",
  async (face) => {
    const local = { m: method({ params: ["a"] }, (a: unknown) => a) };
    await using it = await open(face, { local });
    it.socket.receive(request(1, "m", { ["x".repeat(1_048_400)]: 1 }));
    const [text] = it.socket.sent as [string];
    assert(text.length <= 1_048_576, `${text.length}`);
    assertEquals(codes(it.socket), [-32602]);

    const [server, client] = pair(face, { local });
    const error = await assertRejects(
      () => client.request("m", { ["x".repeat(1_048_500)]: 1 }),
      RpcError,
    );
    assertEquals(error.code, -32602);
    client.close();
    await server.closed;
  },
);
