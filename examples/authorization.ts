// deno run --allow-net --allow-read=. --allow-env=PORT,HOSTNAME examples/authorization.ts

/**
 * Serves a page that signs in. A browser can send no header of its own with a
 * WebSocket, so its user is known in one of three ways: by a cookie at /cookie,
 * after a POST of a name and a password to /sign-in; by a ticket at /ticket, after a
 * POST to /buy; by the first call at /call.
 *
 * `PORT` is the port to listen on, 8892 unless given, any free one if 0.
 * `HOSTNAME` is the IP address to listen on, of this machine alone unless given.
 *
 * @module
 */

import { getCookies, setCookie } from "@std/http";
import { ErrorCode, guard, Peer, RpcError } from "../mod.ts";
import { type Handler, upgrade } from "../server.ts";
import { Board, type User } from "./authorization/board.ts";
import { listen } from "./listen.ts";
import { serveFiles } from "./static.ts";

/** The users; in a real program, a database. */
const users = new Map<string, User & { password: string }>([
  ["ann", { name: "ann", password: "correct horse", isModerator: true }],
  ["bob", { name: "bob", password: "battery staple", isModerator: false }],
]);

function findUser(name: unknown, password: unknown): User | undefined {
  const user = users.get(String(name));
  return user?.password === password ? user : undefined;
}

/** The users who have signed in, by the token that only the browser has. */
const sessions = new Map<string, User>();

// recipe: A cookie
const byCookie = upgrade(Board, {
  // A browser sends its cookies with any page's requests: the default of
  // `origins`, the page's own server alone, is what makes them safe here.
  authorize({ headers }) {
    const user = sessions.get(getCookies(headers).session ?? "");
    return user ?? new Response("Sign in first\n", { status: 401 });
  },
});

function startSession(user: User): Response {
  const token = crypto.randomUUID();
  sessions.set(token, user);
  const response = new Response(null, { status: 204 });
  setCookie(response.headers, {
    name: "session",
    value: token,
    httpOnly: true,
    secure: true,
    sameSite: "Strict",
    path: "/",
  });
  return response;
}
// end

// recipe: A ticket
const tickets = new Map<string, User>();

/** Answers a request that proved whose it is, by a cookie or any header. */
function sellTicket(user: User): Response {
  const ticket = crypto.randomUUID();
  tickets.set(ticket, user);
  setTimeout(() => tickets.delete(ticket), 30_000);
  return new Response(ticket);
}

// The client: connect(url, { protocols: ["board", `ticket.${ticket}`] })
const byTicket = upgrade(Board, {
  protocols: ["board"], // The ticket is offered, and never selected.
  authorize({ headers }) {
    const offer = headers.get("sec-websocket-protocol") ?? "";
    const ticket = /(?:^|[ ,])ticket\.([\w-]+)/.exec(offer)?.[1] ?? "";
    const user = tickets.get(ticket);
    tickets.delete(ticket); // It is good once.
    return user ?? new Response("No such ticket\n", { status: 401 });
  },
});
// end

// recipe: The first call
class Lobby extends Peer<unknown, User | undefined> {
  override local = {
    signIn: (name: string, password: string) => {
      // Also later, as somebody else: the connection stays.
      this.context = findUser(name, password);
      if (this.context) return;
      throw new RpcError(ErrorCode.Unauthenticated, "Wrong name or password");
    },
    whoami: () => this.context?.name ?? null,
    clear: guard(() => this.context?.isModerator, () => "cleared"),
  };
}

const byCall = upgrade(Lobby, {
  requireContext: true, // Without a sign-in in 5 s: closed with 4408.
});
// end

/** All but the WebSocket: the sign-in, the sale of tickets, and the page. */
async function respond(
  request: Request,
  files: (request: Request) => Promise<Response>,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname === "/sign-in") {
    const { name, password } = Object.fromEntries(await request.formData());
    const user = findUser(name, password);
    if (user !== undefined) return startSession(user);
  }
  if (request.method === "POST" && pathname === "/buy") {
    const user = sessions.get(getCookies(request.headers).session ?? "");
    if (user !== undefined) return sellTicket(user);
  }
  if (request.method !== "POST") return files(request);
  const why = pathname === "/buy" ? "Sign in first" : "Wrong name or password";
  return new Response(why, { status: 401 });
}

const handlers: { readonly [path: string]: Handler } = {
  "/cookie": byCookie,
  "/ticket": byTicket,
  "/call": byCall,
};

await listen("Authorization", 8892, async (address) => {
  const files = await serveFiles("examples/authorization");
  const server = Deno.serve(address, (request, info) => {
    const handle = handlers[new URL(request.url).pathname];
    return handle === undefined
      ? respond(request, files)
      : handle(request, info);
  });
  return {
    async drain() {
      await Promise.all(Object.values(handlers).map((it) => it.drain()));
      await server.shutdown();
    },
  };
});
