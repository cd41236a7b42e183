import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ConnectionClosedError, Peer } from "../mod.ts";
import { serve } from "../server.ts";
import { eachPeer } from "./faces.ts";
import { quiet } from "./servers.ts";

eachPeer(
  "connect makes a client and a server that call each other",
  async (face) => {
    class Server extends Peer<{ ask(question: string): string }> {
      override local = {
        hello: async (name: string) =>
          `${name} is ${await this.remote.ask("How are you?")}`,
        math: { add: (a: number, b: number) => a + b },
      };
    }
    await using server = serve(Server, quiet);
    const asked: unknown[] = [];
    await using client = face.connect<Server["local"]>(server.url, {
      local: {
        ask(question: string) {
          asked.push(question, this.state, this.call.method);
          return "fine";
        },
      },
    });
    assertEquals(client.state, "connecting");
    assertEquals(await client.remote.hello("ann"), "ann is fine");
    assertEquals(asked, ["How are you?", "open", "ask"]);
    assertEquals(await client.remote.math.add(1, 2), 3);
    assertEquals(await client.request("math.add", [3, 4]), 7);
    assertEquals(client.ws?.readyState, 1);
  },
);

eachPeer(
  "connect answers at once, calls wait for the handshake",
  async (face) => {
    const received: unknown[] = [];
    await using server = serve({
      ...quiet,
      local: {
        note: (value: unknown) => (received.push(value), received.length),
      },
    });
    await using client = face.connect(server.url);
    assertEquals(client.ws?.readyState, 0);
    client.notify("note", ["first"]);
    const second = client.request("note", ["second"]);
    await client.opened;
    assertEquals(client.ws?.readyState, 1);
    assertEquals(await second, 2);
    assertEquals(received, ["first", "second"]);
  },
);

eachPeer("connect makes an instance of a class", async (face) => {
  class Server extends Peer {
    override local = {
      askBack: (name: string): Promise<unknown> =>
        this.request("answer", [name]),
    };
  }
  await using server = serve(Server, quiet);
  class Page extends face.Peer<Server["local"], { color: string }> {
    override local = {
      answer: (name: string) => `${name} ${this.context.color}`,
    };
  }
  await using page = face.connectAs(server.url, Page, {
    context: { color: "red" },
  });
  assertInstanceOf(page, Page);
  assertEquals(await page.remote.askBack("ann"), "ann red");
});

eachPeer("connect rejects what waits when nobody answers", async (face) => {
  const closes: number[] = [];
  await using server = serve(quiet);
  const { url } = server;
  await server.shutdown();
  const client = face.connect(url, {
    onclose: ({ code }) => void closes.push(code),
    reconnect: false,
  });
  const call = assertRejects(() => client.request("m"), ConnectionClosedError);
  await assertRejects(
    () => client.opened,
    ConnectionClosedError,
    "Cannot open",
  );
  const { sent, code } = await call;
  assertEquals([sent, code, closes], [false, 1006, [1006]]);
  await client.closed;
});

eachPeer("connect can be closed before it is open", async (face) => {
  await using server = serve(quiet);
  const client = face.connect(server.url);
  const opened = assertRejects(() => client.opened, ConnectionClosedError);
  client.close();
  await opened;
  assertEquals((await client.closed).code, 1000);
});
