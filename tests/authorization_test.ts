/** The three ways of docs/authorization.md, as its example has them. */

import { assert, assertEquals, assertRejects } from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket } from "ws";
import { connectOnce as connect } from "./connect_once.ts";
import { ConnectionClosedError, RpcError } from "../mod.ts";
import { startExample } from "./example_process.ts";
import { listings, recipes } from "./recipes.ts";

interface Board {
  whoami(): string | null;
  post(text: string): void;
  clear(): void;
}

interface Lobby {
  signIn(name: string, password: string): void;
  whoami(): string | null;
  clear(): string;
}

const root = new URL("../", import.meta.url);

/** Signs in; returns the cookie. */
async function signIn(
  url: URL,
  name: string,
  password: string,
): Promise<string> {
  const body = new URLSearchParams({ name, password });
  const response = await fetch(new URL("/sign-in", url), {
    method: "POST",
    body,
  });
  await response.body?.cancel();
  const [cookie = ""] = response.headers.getSetCookie();
  if (response.ok) {
    assertEquals(
      cookie.replace(/=[^;]+/, ""),
      "session; Secure; HttpOnly; SameSite=Strict; Path=/",
    );
  }
  return cookie.split(";")[0]!;
}

/** Connects with headers, as the example's clients in a browser do. */
function connectWith(url: URL, headers: { [name: string]: string }) {
  return connect<Board>(url, {
    createSocket: (url) => new NodeWebSocket(url, { headers }),
  });
}

Deno.test("authorization.ts knows people by cookie, by ticket, by their first call", async () => {
  await using example = await startExample(
    "examples/authorization.ts",
    "Authorization",
  );
  const { url } = example;
  const cookie = await signIn(url, "bob", "battery staple");
  assertEquals(await signIn(url, "bob", "guess"), "");

  // A cookie.
  const byCookie = new URL("/cookie", url);
  {
    await using bob = connectWith(byCookie, { cookie, origin: url.origin });
    assertEquals(await bob.remote.whoami(), "bob");
    await bob.remote.post("hello");
    const clear = await assertRejects(() => bob.remote.clear(), RpcError);
    assertEquals(clear.code, -32051);
  }
  for (
    const headers of [
      { cookie, origin: "https://evil.net" },
      { cookie: "session=guess", origin: url.origin },
    ]
  ) {
    await using thief = connectWith(byCookie, headers);
    await assertRejects(() => thief.opened, ConnectionClosedError);
  }

  // A ticket.
  const buy = (headers: { [name: string]: string }) =>
    fetch(new URL("/buy", url), { method: "POST", headers });
  const unsold = await buy({});
  await unsold.body?.cancel();
  assertEquals(unsold.status, 401);
  const ticket = await (await buy({ cookie })).text();
  const byTicket = new URL("/ticket", url);
  const protocols = ["board", `ticket.${ticket}`];
  {
    await using bob = connect<Board>(byTicket, { protocols });
    assertEquals(await bob.remote.whoami(), "bob");
    assertEquals((bob.ws as WebSocket).protocol, "board");
    await using again = connect(byTicket, { protocols });
    await assertRejects(() => again.opened, ConnectionClosedError);
  }

  // The first call.
  await using ann = connect<Lobby>(new URL("/call", url));
  assertEquals(await ann.remote.whoami(), null);
  const codes: number[] = [];
  const refused = (error: RpcError) => void codes.push(error.code);
  await ann.remote.clear().catch(refused);
  await ann.remote.signIn("ann", "guess").catch(refused);
  await ann.remote.signIn("bob", "battery staple");
  await ann.remote.clear().catch(refused);
  await ann.remote.signIn("ann", "correct horse");
  assertEquals(await ann.remote.clear(), "cleared");
  assertEquals(await ann.remote.whoami(), "ann");
  assertEquals(codes, [-32050, -32050, -32051]);
});

Deno.test("docs/authorization.md prints the parts of the example", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, root));
  const sections = listings(await read("docs/authorization.md"));
  const parts = recipes(await read("examples/authorization.ts"));
  assertEquals(parts.length, 3);
  for (const [name, code] of parts) {
    assert(
      sections.get(name)?.includes(code),
      `${name} is printed differently`,
    );
  }
});
