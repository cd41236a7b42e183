/**
 * Functions and objects by reference, both roles: frame by frame as StreamJsonRpc
 * documents them, and end to end.
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/exotic_types/general_marshaled_objects.md#protocol}
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  type BasePeer,
  ConnectionClosedError,
  marshal,
  type Peer,
  RpcError,
  streams,
} from "../mod.ts";
import { serve } from "../server.ts";
import {
  eachPeer,
  type FaceOptions,
  small,
  whole,
  wholePeer,
} from "./faces.ts";
import { failure, request, result, settle } from "./scripted_socket.ts";
import {
  codes,
  collect,
  type Frame,
  methods,
  never,
  open,
  pair,
  type Proxy,
  take,
} from "./stage.ts";
import { quiet } from "./servers.ts";

const reference = (handle: number, lifetime?: string): object => ({
  __jsonrpc_marshaled: 1,
  handle,
  ...(lifetime === undefined ? {} : { lifetime }),
});
const returned = (handle: number): object => ({
  __jsonrpc_marshaled: 0,
  handle,
});
/** What is told of a disposal: first as StreamJsonRpc does. */
const letGo = (handle: number): object[] => [
  ...["Dispose", "dispose"].map((name) => ({
    jsonrpc: "2.0",
    method: `$/invokeProxy/${handle}/${name}`,
    params: [],
  })),
  released(handle, false),
];
const released = (handle: number, ownedBySender: boolean): object => ({
  jsonrpc: "2.0",
  method: "$/releaseMarshaledObject",
  params: { handle, ownedBySender },
});

eachPeer(
  "A function among the arguments is lent for the call, and called back",
  async (face) => {
    await using it = await open(face);
    const { socket, peer } = it;
    const called: unknown[] = [];
    const call = peer.request("m", [1, (...args: unknown[]) => {
      called.push(args);
      return args.length;
    }, 3]);
    assertEquals(socket.take(), [
      request(1, "m", [1, reference(1, "explicit"), 3]),
    ]);
    socket.receive(request(15, "$/invokeProxy/1/invoke", ["a", 2]));
    assertEquals(socket.take(), [result(15, 2)]);
    assertEquals(called, [["a", 2]]);
    socket.receive(result(1, "done"));
    assertEquals(await call, "done");
    socket.receive(request(16, "$/invokeProxy/1/invoke", []));
    const [{ error }] = socket.take() as [{ error: { code: number } }];
    assertEquals(error.code, -32001);
    assertEquals(called.length, 1);
  },
);

eachPeer(
  "A reference that arrives is called by the documentation's frames",
  async (face) => {
    const kept: Proxy[] = [];
    await using it = await open(face, {
      local: {
        SomeMethod: (_a: number, thing: Proxy, _c: number) =>
          void kept.push(thing),
      },
    });
    const { socket, peer } = it;
    socket.receive(
      `{"jsonrpc":"2.0","id":1,"method":"SomeMethod","params":[1,{"__jsonrpc_marshaled":1,"handle":5,"optionalInterfaces":[1]},3]}`,
    );
    assertEquals(socket.take(), [result(1, null)]);
    const [thing] = kept as [Proxy];
    const answer = thing["DoSomething"]!();
    const itself = thing("x");
    assertEquals(socket.take(), [
      { jsonrpc: "2.0", method: "$/invokeProxy/5/DoSomething", id: 1 },
      request(2, "$/invokeProxy/5/invoke", ["x"]),
    ]);
    socket.receive(result(1, "did"));
    socket.receive(result(2, "itself"));
    assertEquals([await answer, await itself], ["did", "itself"]);
    // Awaited or logged, it is not called.
    assertEquals(await thing, thing);
    JSON.stringify([thing]);
    assertEquals(socket.take(), []);

    // Sent back, it is the original again.
    const back = peer.request("RememberWhenYouSentMe", [1, thing, 3]);
    assertEquals(socket.take(), [
      request(3, "RememberWhenYouSentMe", [
        1,
        { __jsonrpc_marshaled: 0, handle: 5 },
        3,
      ]),
    ]);
    socket.receive(result(3, true));
    await back;
    thing[Symbol.dispose]();
    thing[Symbol.dispose]();
    assertEquals(socket.take(), letGo(5));
  },
);

eachPeer("A function that comes back is the original", async (face) => {
  const [server, client] = pair(face, {
    local: {
      echo: (value: unknown) => value,
      nest: (value: unknown) => ({ deep: [value] }),
      async call(this: BasePeer, fn: Proxy) {
        return [await this.request("isMine", [fn]), await fn(20)];
      },
    },
  }, { local: { isMine: (fn: unknown) => fn === original } });
  const original = (n: number): number => n + 1;
  assertEquals(await client.request("call", [original]), [true, 21]);
  // Lent for the call alone, its answer still knows it.
  assertEquals(await client.request("echo", [original]), original);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  client.local = { take: resolve };
  using mark = marshal(original, { lifetime: "explicit" });
  assertEquals(await client.request("echo", [mark]), original);
  assertEquals(await client.request("nest", [mark]), { deep: [original] });
  await server.request("take", [() => 5]).catch(() => {});
  assert(typeof await promise === "function");
  client.close();
  await server.closed;
});

eachPeer(
  "A method returns functions and objects, which live until they are disposed of",
  async (face) => {
    let count = 0;
    const most = face.most("references", 3);
    const marks: Disposable[] = [];
    const [server, client] = pair(face, {
      local: {
        counter: () => () => ++count,
        account: () => {
          const mark = marshal({
            add: (n: number) => count += n,
            deep: { get: () => count },
            field: 5,
          });
          marks.push(mark);
          return { name: "ann", account: mark };
        },
      },
      limits: { references: most },
    });
    const next = await client.request("counter") as Proxy;
    assertEquals([await next(), await next()], [1, 2]);
    const { name, account } = await client.request("account") as {
      name: string;
      account: Proxy;
    };
    assertEquals(name, "ann");
    assertEquals(await account["add"]!(5), 7);
    assertEquals(await account["deep.get"]!(), 7);
    for (const method of ["field", "constructor", "__proto__", "toString"]) {
      const error = await assertRejects(
        () => client.request(`$/invokeProxy/2/${method}`),
        RpcError,
      );
      assertEquals(error.code, -32601);
    }
    next[Symbol.dispose]();
    const gone = await assertRejects(() => next(), RpcError);
    assertEquals(gone.code, -32001);
    // Its owner lets go of it.
    marks[0]![Symbol.dispose]();
    await assertRejects(() => account["add"]!(1), RpcError, "let go of");
    // Both places are free again.
    for (let n = 0; n < most; n++) await client.request("counter");
    const full = await assertRejects(() => client.request("counter"), RpcError);
    assertEquals(
      [full.code, full.message],
      [
        -32006,
        `Cannot pass by reference: ${most} of at most ${most} references are open, see limits.references`,
      ],
    );
    client.close();
    await server.closed;
  },
);

eachPeer(
  "An error response lets go of everything in the arguments",
  async (face) => {
    await using it = await open(face, { limits: { references: 2 } });
    const { socket, peer } = it;
    for (let n = 1; n <= 5; n++) {
      const mark = marshal({}, { lifetime: "explicit" });
      const call = peer.request("m", [() => {}, { deep: [mark] }]);
      socket.receive({
        jsonrpc: "2.0",
        error: { code: 1, message: "No" },
        id: n,
      });
      await assertRejects(() => call, RpcError);
    }
    // With a result, what is explicit stays lent.
    const mark = marshal({ get: () => "mine" }, { lifetime: "explicit" });
    const call = peer.request("m", [{ deep: mark }]);
    socket.receive(result(6, null));
    await call;
    socket.take();
    socket.receive(request(1, "$/invokeProxy/11/get"));
    socket.receive(request(2, "$/invokeProxy/10/invoke"));
    socket.receive(released(11, false));
    socket.receive(request(3, "$/invokeProxy/11/get"));
    const codes =
      (socket.take() as { result?: unknown; error?: { code: number } }[])
        .map(({ result, error }) => result ?? error?.code);
    assertEquals(codes, ["mine", -32001, -32001]);
  },
);

eachPeer(
  "Whatever ends a call lets go of what was lent to it",
  async (face) => {
    const references = face.most("references", 1);
    await using it = await open(face, { limits: { references } });
    const { socket, peer } = it;
    const lent = Array.from({ length: references }, () => () => {});
    const controller = new AbortController();
    const { signal } = controller;
    const cancelled = assertRejects(
      () => peer.request("m", lent, { signal }),
      DOMException,
    );
    // One more waits until one is let go of; more than may be are none at all.
    const waits = peer.request("waits", [() => {}]);
    assertEquals(methods(socket), ["m"]);
    const full = await assertRejects(
      () => peer.request("m", [...lent, () => {}]),
      RpcError,
      `${references} of at most ${references} references go with one call, see limits.references`,
    );
    assertEquals(full.code, -32006);
    controller.abort();
    await cancelled;
    assertEquals(methods(socket), ["$/cancelRequest", "waits"]);
    socket.receive(result(2, "done"));
    assertEquals(await waits, "done");
    socket.sendError = new Error("broken");
    await assertRejects(() => peer.request("m", lent), ConnectionClosedError);
    await assertRejects(() => peer.request("m", [...lent, 1n]), TypeError);
    const closed = assertRejects(
      () => peer.request("m", lent),
      ConnectionClosedError,
    );
    peer.close();
    await closed;
  },
);

eachPeer("A late answer's references are given back", async (face) => {
  await using it = await open(face);
  const { socket, peer } = it;
  const controller = new AbortController();
  const call = assertRejects(
    () => peer.request("m", [], { signal: controller.signal }),
    DOMException,
  );
  controller.abort();
  await call;
  socket.take();
  socket.receive(result(1, [reference(7), { deep: reference(8) }]));
  assertEquals(socket.take(), [...letGo(7), ...letGo(8)]);
});

eachPeer("A late answer's stream is left", async (face) => {
  await using it = await open(face, {});
  const { socket, peer } = it;
  const controller = new AbortController();
  const call = assertRejects(
    () => peer.request("m", [], { signal: controller.signal }),
    DOMException,
  );
  controller.abort();
  await call;
  socket.take();
  socket.receive(result(1, { token: 9 }));
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "$/enumerator/abort", params: { token: 9 } },
  ]);
});

eachPeer(
  "A result that refers to what is no longer lent rejects its call",
  async (face) => {
    await using it = await open(face);
    const call = assertRejects(
      () => it.peer.request("m"),
      RpcError,
      "let go of",
    );
    it.socket.receive(result(1, { __jsonrpc_marshaled: 0, handle: 5 }));
    assertEquals((await call).code, -32001);
  },
);

eachPeer("A notification carries no references", async (face) => {
  const references = face.most("references", 1);
  await using it = await open(face, { limits: { references } });
  const { socket, peer } = it;
  for (
    const params of [[() => {}], [{ deep: marshal({}) }], { fn: () => {} }]
  ) {
    assertThrows(() => peer.notify("m", params), TypeError, "send a request");
  }
  assertEquals(socket.sent, []);
  // And what was refused keeps no place.
  const lent = Array.from({ length: references }, () => () => {});
  const call = assertRejects(() => peer.request("m", lent), RpcError, "no");
  socket.receive({ jsonrpc: "2.0", error: "no", id: 1 });
  await call;
});

Deno.test("A marked object needs a peer that uses references", async () => {
  await using it = await open(small, {
    use: [],
    local: { get: () => ({ mark: marshal({}) }) },
    onerror() {},
  });
  const { socket, peer } = it;
  await assertRejects(
    () => peer.request("m", [marshal({})]),
    TypeError,
    "of a peer that uses references",
  );
  socket.receive(request(1, "get"));
  const [{ error }] = socket.take() as [{ error: { code: number } }];
  assertEquals(error.code, -32603);
  assertThrows(() => JSON.stringify(marshal({})), TypeError);
  // And what arrives stays data.
  const call = peer.request("m");
  socket.receive(result(2, reference(5)));
  assertEquals(await call, reference(5));
});

wholePeer(
  "A lent object's owner is told of a method that it inherits",
  async (face) => {
    class Account {
      readonly own = (): number => 1;
      deposit(): number {
        return 2;
      }
    }
    const thrown: unknown[] = [];
    const [server, client] = pair(face, {
      local: { open: () => marshal(new Account()) },
      onerror: (error) => void thrown.push(error),
    });
    const account = await client.request("open") as Proxy;
    assertEquals(await account["own"]!(), 1);
    for (let n = 0; n < 2; n++) {
      const error = await assertRejects(() => account["deposit"]!(), RpcError);
      assertEquals(error.code, -32601);
    }
    assertEquals(thrown.length, 1);
    assert(/"deposit": an instance inherits it/.test(`${thrown}`));
    client.close();
    await server.closed;
  },
);

for (const parts of [[], [streams]]) {
  const has = parts.length === 0 ? "no parts" : "streams alone";
  Deno.test(`A function is refused, and never null, by a peer with ${has}`, async () => {
    const fn = (): void => {};
    const { promise: lent, resolve } = Promise.withResolvers<unknown>();
    const [lender, borrower] = pair(small, {}, { local: { keep: resolve } });
    const keeping = lender.request("keep", [fn]);
    const borrowed = await lent as Proxy;
    await keeping;
    await using it = await open(small, {
      use: parts,
      local: {
        get: () => fn,
        later: () => Promise.resolve(fn),
        async *stream() {
          yield await Promise.resolve(fn);
        },
        progress(this: BasePeer) {
          this.call.progress(fn);
        },
      },
    });
    const { socket, peer } = it;
    for (
      const params of [[fn], [1, fn], { fn }, [borrowed], { a: 1, borrowed }]
    ) {
      const call = (): Promise<unknown> => peer.request("m", params);
      await assertRejects(call, TypeError, "references (`use`)");
      const tell = (): unknown => peer.notify("m", params);
      assertThrows(tell, TypeError, "references (`use`)");
    }
    await assertRejects(() => peer.remote["m"]!(1, fn), TypeError);
    // What writes itself does so whole.
    const written = peer.request("m", { toJSON: () => [1], fn: 2 });
    const [{ id, params }] = take(socket) as [Frame];
    assertEquals(params, [1]);
    socket.receive(result(id as number, "done"));
    assertEquals(await written, "done");
    for (const method of ["get", "later", "progress"]) {
      assertEquals(await it.ask(request(1, method)), [
        failure(1, -32603, "Internal error"),
      ]);
    }
    assertEquals(it.thrown.length, 3);
    assert(it.thrown.every((error) => error instanceof TypeError));
    if (parts.length > 0) {
      await it.ask(request(1, "stream"));
      assertEquals(await it.ask(request(2, "$/enumerator/next", [1])), [
        failure(2, -32603, "Internal error"),
      ]);
    }
    lender.close();
    await borrower.closed;
  });
}

/** Values that JSON would lose something of, and where that stands. */
const lossy: readonly [value: unknown, place: string][] = [
  [{ a: { b: () => 1 } }, ".a.b"],
  [{ list: [1, "a", { fn() {} }] }, ".list.2.fn"],
  [[[() => 1]], ".0.0"],
  [{ a: null, b: undefined, c: Symbol("c") }, ".c"],
  [Object.assign(Object.create({ inherited() {} }), { own() {} }), ".own"],
  [[Symbol("s")], ".0"],
];

/** Values that it loses nothing of which anybody has thought of. */
const harmless: readonly [value: unknown, arrived: unknown][] = [
  [{ at: new Date(0) }, { at: "1970-01-01T00:00:00.000Z" }],
  [{ it: { toJSON: () => 7, fn() {} } }, { it: 7 }],
  [Object.create({ inherited() {} }), {}],
  [[undefined, null], [null, null]],
  [{ left: undefined, [Symbol("key")]: 1 }, {}],
];

eachPeer(
  "A function or a symbol deep in a value is a TypeError that says where, and never null",
  async (face) => {
    let value: unknown;
    const told: string[] = [];
    const [server, client] = pair(face, {
      local: {
        get: () => value,
        later: () => Promise.resolve(value),
        echo: (it: unknown) => it,
        async *stream() {
          yield await Promise.resolve(value);
        },
        progress(this: BasePeer) {
          this.call.progress(value);
        },
      },
      onerror: (error) => void told.push(`${error}`),
    });
    const says = (what: string): RegExp =>
      new RegExp(`can't be passed as ${what.replaceAll(".", "\\.")}: JSON`);
    for (const [lost, place] of lossy) {
      value = lost;
      const kind = /\.c$|^\.0$/.test(place) ? "a symbol" : "a function";
      const byPosition = { params: ["a", lost], at: `params.1${place}` };
      const byName = { params: { it: lost }, at: `params.it${place}` };
      for (const { params, at } of [byPosition, byName]) {
        await assertRejects(
          () => client.request("echo", params),
          TypeError,
          `${kind} can't be passed as ${at}: JSON has none`,
        );
        assertThrows(
          () => client.notify("echo", params),
          TypeError,
          `${kind} can't be passed as ${at}: JSON has none`,
        );
      }
      for (
        const [method, what] of [
          ["get", "result"],
          ["later", "result"],
          ["progress", "params.value"],
        ] as const
      ) {
        await assertRejects(() => client.request(method), RpcError, "Internal");
        assertMatch(told.pop()!, says(what + place));
      }
      const stream = await client.request("stream") as AsyncIterable<unknown>;
      await assertRejects(
        async () => {
          for await (const _ of stream);
        },
        RpcError,
        "Internal",
      );
      assertMatch(told.pop()!, says(`value${place}`));
    }
    for (const [given, arrived] of harmless) {
      assertEquals(await client.request<unknown>("echo", [given]), arrived);
    }
    assertEquals(told, []);
    client.close();
    await server.closed;
  },
);

eachPeer("Hostile references harm nobody", async (face) => {
  const received: unknown[] = [];
  const thrown: unknown[] = [];
  await using it = await open(face, {
    local: { take: (value: unknown) => (received.push(value), "took") },
    onerror: (error) => void thrown.push(error),
    limits: { depth: Infinity },
  });
  const { socket } = it;
  const frames: [params: string, isError: boolean][] = [
    ['[{"__jsonrpc_marshaled":1,"handle":"5"}]', false],
    ['[{"__jsonrpc_marshaled":1,"handle":1.5}]', false],
    ['[{"__jsonrpc_marshaled":1}]', false],
    ['[{"__jsonrpc_marshaled":2,"handle":5}]', false],
    ['[{"__jsonrpc_marshaled":true,"handle":5}]', false],
    ['[{"__jsonrpc_marshaled":0,"handle":5}]', true],
    ['[{"__proto__":{"__jsonrpc_marshaled":1,"handle":5}}]', false],
    [
      `[${'{"a":'.repeat(5_000)}{"__jsonrpc_marshaled":1,"handle":5}${
        "}".repeat(5_000)
      }]`,
      false,
    ],
  ];
  for (const [params, isError] of frames) {
    socket.receive(
      `{"jsonrpc":"2.0","method":"take","params":${params},"id":1}`,
    );
    const [answer] = socket.take() as [{ error?: { code: number } }];
    assertEquals(
      answer.error?.code,
      isError ? -32001 : undefined,
      params.slice(0, 80),
    );
  }
  const withProto = received.find((value) =>
    Object.hasOwn(value as object, "__proto__")
  );
  assertEquals(Object.getPrototypeOf(withProto), Object.prototype);
  for (
    const method of [
      "$/invokeProxy/1/invoke",
      "$/invokeProxy/-1/x",
      "$/invokeProxy/1e3/x",
      "$/invokeProxy//x",
      "$/invokeProxy/1",
      "$/invokeProxy/999999999999999999999/x",
    ]
  ) {
    socket.receive(request(2, method));
    const [{ error }] = socket.take() as [{ error: { code: number } }];
    assert([-32001, -32601].includes(error.code), method);
  }
  for (
    const params of [undefined, [], {}, ["1", false], {
      handle: {},
      ownedBySender: 5,
    }]
  ) {
    socket.receive({
      jsonrpc: "2.0",
      method: "$/releaseMarshaledObject",
      params,
    });
  }
  assertEquals([socket.take(), thrown], [[], []]);
});

eachPeer("A callback that fails unheard harms nobody", async (face) => {
  const { socket, peer } = await open(face, {
    local: { start: (tell: (n: number) => unknown) => void tell(1) },
  });
  socket.receive(request("a", "start", [reference(5)]));
  socket.receive(request("b", "start", [reference(6)]));
  const [{ id }] = socket.take() as [{ id: number }];
  socket.receive(failure(id, 5, "No"));
  socket.end(1006, "", false);
  await peer.closed;
  await settle();
});

eachPeer(
  "A reference by the name then stays data, nobody calls it by awaiting",
  async (face) => {
    await using it = await open(face, {
      local: {
        sync: (value: unknown) => value,
        async: async (value: unknown) => await value,
      },
    });
    const { socket, peer } = it;
    const thenable = { then: reference(5) };
    for (const method of ["sync", "async"]) {
      for (const params of [[thenable], thenable]) {
        socket.receive(request("a", method, params));
        await settle();
        assertEquals(socket.take(), [result("a", thenable)]);
      }
    }
    const call = peer.request("m");
    const [{ id }] = socket.take() as [{ id: number }];
    socket.receive(result(id, thenable));
    assertEquals(await call, thenable);
  },
);

Deno.test(
  "A reference is not called where its peer speaks a version without",
  async () => {
    for (const version of ["1.0", "bare"] as const) {
      await using it = await open(whole, {
        version,
        local: { call: async (fn: () => unknown) => await fn() },
        onerror() {},
      });
      const { socket, peer } = it;
      const call = peer.request<() => Promise<unknown>>("borrow", []);
      const [{ id }] = socket.take() as [{ id: number }];
      socket.receive({ id, result: reference(5) });
      const fn = await call;
      await assertRejects(
        () => fn(),
        TypeError,
        `Cannot call by reference: JSON-RPC ${version} has no references`,
      );
      assertEquals(socket.take(), []);
    }
  },
);

wholePeer(
  "Callbacks count as methods that run, and hear of their own cancel",
  async (face) => {
    const incoming = face.most("incoming", 1);
    await using it = await open(face, { limits: { incoming } });
    const { socket, peer } = it;
    let signal: AbortSignal | undefined;
    void peer.request("m", [() => {
      ({ signal } = peer.call);
      return never();
    }]).catch(() => {});
    socket.take();
    for (let n = 1; n < incoming; n++) {
      socket.receive(request(n, "$/invokeProxy/1/invoke"));
    }
    socket.receive(request("a", "$/invokeProxy/1/invoke"));
    socket.receive(request("b", "$/invokeProxy/1/invoke"));
    socket.receive({
      jsonrpc: "2.0",
      method: "$/cancelRequest",
      params: { id: "a" },
    });
    const codes = (socket.take() as { error: { code: number } }[]).map((
      { error },
    ) => error.code);
    assertEquals(codes, [-32009, -32800]);
    await settle();
    assert(signal?.aborted);
  },
);

eachPeer(
  "A server lends functions and objects, typed from end to end",
  async (face) => {
    const local = {
      async each(names: string[], visit: (name: string) => Promise<number>) {
        let sum = 0;
        for (const name of names) sum += await visit(name);
        return sum;
      },
      greeter: (greeting: string) => (name: string) => `${greeting}, ${name}`,
      room: (name: string) =>
        marshal({
          title: () => name,
          say: (text: string) => `${name}: ${text}`,
        }),
      async *numbers(of: () => Promise<number>) {
        for (let n = 0; n < 3; n++) yield await of();
      },
    };
    await using server = serve({ ...quiet, local });
    await using client = face.connect<typeof local>(server.url);
    assertEquals(
      await client.remote.each(["ann", "bo"], (name) => name.length),
      5,
    );
    assertEquals(
      await client.remote.each(
        ["ann"],
        async (name) => await Promise.resolve(name.length),
      ),
      3,
    );
    using greet = await client.remote.greeter("hi");
    assertEquals(await greet("ann"), "hi, ann");
    using room = await client.remote.room("lobby");
    assertEquals([await room.title(), await room.say("hello")], [
      "lobby",
      "lobby: hello",
    ]);
  },
);

Deno.test("A borrowed object can be disposed of though its peer would not know it", async () => {
  await using it = await open<Peer>(whole, { version: "1.0" });
  const { socket, peer } = it;
  const call = peer.request("open", []);
  socket.receive({ id: 1, result: reference(3), error: null });
  const proxy = await call as Proxy;
  socket.take();
  proxy[Symbol.dispose]();
  assertEquals(socket.take(), []);
});

Deno.test("A late answer disturbs nothing that came with it", async () => {
  const rows: [FaceOptions, object, object, string[]][] = [
    [
      { version: "1.0" },
      { id: 99, result: { token: 1 }, error: null },
      { id: 7, method: "echo", params: [] },
      [],
    ],
    [{}, result(99, returned(1)), request(7, "echo"), []],
    [
      {},
      result(99, [reference(5), returned(1)]),
      request(7, "echo"),
      [
        "$/invokeProxy/5/Dispose",
        "$/invokeProxy/5/dispose",
        "$/releaseMarshaledObject",
      ],
    ],
  ];
  for (const [options, late, call, told] of rows) {
    const thrown: unknown[] = [];
    await using it = await open<Peer>(whole, {
      ...options,
      local: { echo: () => 5 },
      onerror: (error) => void thrown.push(error),
    });
    it.socket.receive([late, call]);
    const frames = take(it.socket).flat();
    assertEquals(
      frames.flatMap(({ method }) => method ?? []),
      told,
    );
    assertEquals(
      frames.flatMap(({ result }) => result ?? []),
      [5],
    );
    assertEquals(thrown, []);
  }
});

eachPeer(
  "A marked object in a stream's value is refused in words that are true",
  async (face) => {
    const thrown: unknown[] = [];
    const [server, client] = pair(face, {
      onerror: (error) => void thrown.push(error),
      local: {
        async *objects() {
          yield marshal({ a: () => 1 });
        },
      },
    });
    await assertRejects(() => collect(client.remote["objects"]!()), RpcError);
    const [error] = thrown as [Error];
    assert(error.message.includes("only arguments and results"), error.message);
    assertEquals(thrown.length, 1);
    client.close();
    await server.closed;
  },
);

eachPeer("What one peer lent can't be passed on to another", async (face) => {
  await using lender = await open(face);
  const call = lender.peer.request("open");
  lender.socket.receive(result(1, reference(1)));
  const borrowed = await call as Proxy;
  lender.socket.take();

  const thrown: unknown[] = [];
  const references = face.most("references", 1);
  await using other = await open(face, {
    limits: { references },
    local: {
      own: () => marshal({ who: () => "the other's own" }),
      itself: () => borrowed,
      nested: () => ({ deep: [borrowed] }),
    },
    onerror: (error) => void thrown.push(error),
  });
  const { socket, peer } = other;
  const words = "Cannot pass on what another peer lent";
  const rows = [
    [borrowed],
    [{ deep: [borrowed] }],
    { name: borrowed },
    [() => 1, borrowed],
  ];
  for (const params of rows) {
    const refused = assertRejects(
      () => peer.request("m", params),
      TypeError,
      words,
    );
    assertEquals(socket.sent, []);
    await refused;
  }
  assertThrows(() => peer.notify("m", [borrowed]), TypeError, words);
  assertEquals(socket.sent, []);

  socket.receive(request(1, "itself"));
  socket.receive(request(2, "nested"));
  // Deep in a result it may be what somebody stored among the data of all.
  assertEquals(socket.take(), [
    failure(1, -32603, "Internal error"),
    result(2, { deep: [null] }),
  ]);
  assertEquals(thrown.length, 2);
  for (const error of thrown) {
    assert(error instanceof TypeError && error.message.includes(words));
  }

  // What was refused has taken no place, and what was borrowed works as before.
  for (let n = 0; n < references; n++) socket.receive(request(n, "own"));
  assertEquals(codes(socket), Array(references).fill(undefined));
  socket.receive(request(3, "own"));
  assertEquals(codes(socket), [-32006]);
  const answer = borrowed("x");
  const [{ id }] = take(lender.socket) as [Frame];
  lender.socket.receive(result(id, "called"));
  assertEquals(await answer, "called");
});

eachPeer(
  "A proxy that was disposed of can be passed to nobody",
  async (face) => {
    const [server, client] = pair(face, {
      local: { get: () => () => 1, take: (fn: () => unknown) => fn() },
    });
    const proxy = await client.request("get") as Proxy;
    assertEquals(await client.request("take", [proxy]), 1);
    proxy[Symbol.dispose]();
    const error = await assertRejects(
      () => client.request("take", [proxy]),
      RpcError,
    );
    assertEquals(error.code, -32001);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "marshal keeps nothing of connections that closed or handles that came back",
  async (face) => {
    const shared = marshal({ x: () => 1 });
    // A leak would show nowhere else.
    const { releases } = shared as unknown as { releases: Set<unknown> };
    const local = { get: () => shared };
    for (let turn = 0; turn < 3; turn++) {
      const [server, client] = pair(face, { local });
      await client.request("get");
      assertEquals(releases.size, 1);
      client.close();
      await server.closed;
      assertEquals(releases.size, 0);
    }
    const [server, client] = pair(face, { local });
    for (let turn = 0; turn < 3; turn++) {
      using _ = await client.request("get") as Proxy;
      assertEquals(releases.size, 1);
    }
    await settle();
    assertEquals(releases.size, 0);
    client.close();
    await server.closed;
  },
);

eachPeer("A lent function has no method but itself", async (face) => {
  await using it = await open(face);
  const { socket, peer } = it;
  const call = peer.request("m", [function () {
    return "called";
  }]);
  socket.take();
  for (const name of ["prototype.constructor", "constructor", "call", "bind"]) {
    socket.receive(request(5, `$/invokeProxy/1/${name}`));
  }
  assertEquals(codes(socket), [-32601, -32601, -32601, -32601]);
  socket.receive(result(1, null));
  await call;
});

/** A thing that counts how often it was disposed of. */
class Thing {
  disposed = 0;
  readonly get = (): number => this.disposed;
  [Symbol.dispose](): void {
    this.disposed++;
  }
}

eachPeer(
  "A lent object is disposed of once, by whatever message comes first",
  async (face) => {
    const things: Thing[] = [];
    await using it = await open(face, {
      local: {
        open() {
          const thing = new Thing();
          things.push(thing);
          return marshal(thing);
        },
      },
    });
    const { socket } = it;
    const dispose = (handle: number, name = "Dispose"): object => ({
      jsonrpc: "2.0",
      method: `$/invokeProxy/${handle}/${name}`,
      params: [],
    });
    const orders: ((handle: number) => object[])[] = [
      (handle) => [dispose(handle), released(handle, false)],
      (handle) => [released(handle, false), dispose(handle)],
      (handle) => [dispose(handle, "dispose"), released(handle, false)],
      (handle) => [released(handle, false)],
      (handle) => [dispose(handle), dispose(handle)],
    ];
    for (const [index, order] of orders.entries()) {
      const handle = index + 1;
      socket.receive(request(1, "open"));
      assertEquals(socket.take(), [result(1, reference(handle, "explicit"))]);
      socket.receive(request(2, `$/invokeProxy/${handle}/get`));
      assertEquals(socket.take(), [result(2, 0)]);
      for (const message of order(handle)) socket.receive(message);
      assertEquals([socket.take(), things[index]!.disposed], [[], 1]);
      socket.receive(request(3, `$/invokeProxy/${handle}/get`));
      assertEquals(codes(socket), [-32001]);
    }
    // A request is answered; what is known no more is.
    socket.receive(request(1, "open"));
    socket.take();
    const last = orders.length + 1;
    socket.receive(request(4, `$/invokeProxy/${last}/Dispose`));
    socket.receive(request(5, `$/invokeProxy/${last}/Dispose`));
    assertEquals(codes(socket), [undefined, -32001]);
    assertEquals(things.map(({ disposed }) => disposed), things.map(() => 1));
    assertEquals(it.thrown, []);
  },
);

eachPeer(
  "A lent object is disposed of when the connection closes",
  async (face) => {
    const thing = new Thing();
    const left = new Thing();
    const later: string[] = [];
    const [server, client] = pair(face, {
      local: {
        open: () => marshal(thing),
        leave: () => marshal(left),
        both: () =>
          marshal({
            [Symbol.dispose]: () => void later.push("now"),
            [Symbol.asyncDispose]: async () => {
              await Promise.resolve();
              later.push("later");
            },
          }),
      },
    });
    await client.request("open");
    await client.request("both");
    const one = await client.request("leave") as Proxy;
    one[Symbol.dispose]();
    await settle();
    assertEquals(left.disposed, 1);
    client.close();
    await server.closed;
    await settle();
    assertEquals([thing.disposed, left.disposed, later], [1, 1, ["later"]]);
  },
);

eachPeer(
  "An argument that is lent for the call stays its owner's, unless it is disposed of",
  async (face) => {
    const [server, client] = pair(face, {
      local: {
        use: async (it: Proxy) => await it["get"]!(),
        end(it: Proxy) {
          it[Symbol.dispose]();
        },
        fail() {
          throw new RpcError(1, "No");
        },
        keep: (_it: Proxy) => null,
      },
    });
    const thing = new Thing();
    assertEquals(await client.request("use", [marshal(thing)]), 0);
    assertEquals(await client.request("use", [marshal(thing)]), 0);
    await assertRejects(
      () => client.request("fail", [marshal(thing)]),
      RpcError,
    );
    assertEquals(thing.disposed, 0);
    await client.request("end", [marshal(thing)]);
    assertEquals(thing.disposed, 1);

    // What is handed over is disposed of when it isn't taken, if it was sent.
    const explicit = (): unknown => marshal(thing, { lifetime: "explicit" });
    await assertRejects(() => client.request("fail", [explicit()]), RpcError);
    assertEquals(thing.disposed, 2);
    await assertRejects(
      () => client.request("keep", [explicit(), 1n]),
      TypeError,
    );
    assertEquals(thing.disposed, 2);
    // Its owner, who lets go of it, has it.
    const mark = marshal(thing, { lifetime: "explicit" });
    await client.request("keep", [mark]);
    mark[Symbol.dispose]();
    assertEquals(thing.disposed, 2);
    await client.request("keep", [explicit()]);
    client.close();
    await server.closed;
    assertEquals(thing.disposed, 3);
  },
);

eachPeer(
  "An object that is lent more than once is disposed of when the last one lets go",
  async (face) => {
    const room = new Thing();
    const local = { enter: () => marshal(room) };
    const [server, client] = pair(face, { local });
    const [other, guest] = pair(face, { local });
    const first = await client.request("enter") as Proxy;
    const second = await client.request("enter") as Proxy;
    await guest.request("enter");
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    client.close();
    await server.closed;
    assertEquals(room.disposed, 0);
    guest.close();
    await other.closed;
    assertEquals(room.disposed, 1);
  },
);

eachPeer(
  "An object whose own Dispose is a method has it called, and what its disposal throws is told",
  async (face) => {
    const called: string[] = [];
    await using it = await open(face, {
      local: {
        open: () => marshal({ Dispose: () => void called.push("Dispose") }),
        fail: () =>
          marshal({
            [Symbol.asyncDispose]: () => Promise.reject(new Error("stuck")),
          }),
      },
    });
    const { socket, thrown } = it;
    socket.receive(request(1, "open"));
    socket.receive(request(2, "$/invokeProxy/1/Dispose"));
    assertEquals(socket.take().at(-1), result(2, null));
    assertEquals(called, ["Dispose"]);
    socket.receive(request(3, "fail"));
    socket.receive(released(2, false));
    await settle();
    assertEquals(thrown.map(String), ["Error: stuck"]);
  },
);

eachPeer(
  "Who disposes of what it borrowed tells by StreamJsonRpc's names, where no lifetime was written",
  async (face) => {
    await using it = await open(face);
    const { socket, peer } = it;
    const rows: [object, string[]][] = [
      [reference(7), ["$/invokeProxy/7/Dispose", "$/invokeProxy/7/dispose"]],
      [reference(8, "explicit"), []],
    ];
    for (const [lent, names] of rows) {
      const call = peer.request("open");
      const [{ id }] = take(socket) as [Frame];
      socket.receive(result(id, lent));
      const proxy = await call as Proxy;
      proxy[Symbol.dispose]();
      proxy[Symbol.dispose]();
      assertEquals(methods(socket), [...names, "$/releaseMarshaledObject"]);
    }
  },
);
