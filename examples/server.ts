// deno run --allow-net --allow-read=. --allow-env=PORT,HOSTNAME examples/server.ts

/**
 * Serves the chat: its page, the library as a browser reads it, and, at the
 * address of the page, the WebSocket.
 *
 * `PORT` is the port to listen on, 8888 unless given, any free one if 0.
 * `HOSTNAME` is the IP address to listen on, of this machine alone unless given.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { STATUS_CODE, STATUS_TEXT } from "@std/http";
import { serve } from "../server.ts";
import { Chat } from "./chat/chat.ts";

const root = new URL("../", import.meta.url);

/** What a browser may read, by its path; nothing else of the disk is looked at. */
const files = new Map([
  ["/", "examples/chat/index.html"],
  ["/examples/chat/page.ts", "examples/chat/page.ts"],
  ["/examples/chat/style.css", "examples/chat/style.css"],
  ["/examples/chat/icon.svg", "examples/chat/icon.svg"],
  ["/client.ts", "client.ts"],
  ["/mod.ts", "mod.ts"],
]);

/** And the library's sources, whose names have no slash and no second dot. */
const SOURCE = /^\/(src\/[a-z0-9_]{1,64}\.ts)$/;

const contentTypes: { readonly [extension: string]: string } = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
  ts: "text/javascript; charset=utf-8",
};

const headers = {
  "cache-control": "no-cache",
  // 'self' is the WebSocket at the page's own origin, too (CSP Level 3).
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Answers what is not the beginning of a WebSocket. */
async function serveFile(request: Request): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return refuse(STATUS_CODE.MethodNotAllowed, { allow: "GET, HEAD" });
  }

  // As it came, still percent-encoded: none of our names needs decoding.
  const { pathname } = new URL(request.url);
  const path = files.get(pathname) ?? SOURCE.exec(pathname)?.[1];
  if (path === undefined) return refuse(STATUS_CODE.NotFound);

  let text: string;
  try {
    text = await Deno.readTextFile(new URL(path, root));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return refuse(STATUS_CODE.NotFound);
  }

  const extension = path.slice(path.lastIndexOf(".") + 1);
  if (extension === "ts") text = stripTypeScriptTypes(text);
  const body = new TextEncoder().encode(text);
  return new Response(request.method === "HEAD" ? null : body, {
    headers: {
      ...headers,
      "content-length": String(body.length),
      "content-type": contentTypes[extension] ?? "application/octet-stream",
    },
  });
}

function refuse(status: number, more?: Record<string, string>): Response {
  return new Response(`${STATUS_TEXT[status]}\n`, {
    status,
    headers: { ...headers, "content-type": "text/plain", ...more },
  });
}

/** An environment variable; undefined, too, for whom may not read it. */
async function env(variable: string): Promise<string | undefined> {
  const { state } = await Deno.permissions.request({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

async function portToListenOn(): Promise<number> {
  const given = await env("PORT") || "8888";
  const port = Number(given);
  if (/^\d+$/.test(given) && port <= 65535) return port;
  throw new RangeError(
    `Cannot listen on port "${given}": PORT must be a number from 0 to 65535`,
  );
}

async function addressToListenOn(): Promise<string> {
  const given = await env("HOSTNAME") ?? "";
  // Shells and containers set this variable to the name of the machine without
  // being asked: only an IP address is a wish.
  return /^[\d.]+$|:/.test(given) ? given : "127.0.0.1";
}

/** What a person types: no browser opens "every address", and a name is nicer. */
function addressToOpen({ hostname, port }: Deno.NetAddr): string {
  if (["127.0.0.1", "::1", "0.0.0.0", "::"].includes(hostname)) {
    return `http://localhost:${port}`;
  }
  return `http://${
    hostname.includes(":") ? `[${hostname}]` : hostname
  }:${port}`;
}

try {
  const port = await portToListenOn();
  const hostname = await addressToListenOn();
  // Asked for once and now, not file by file when the first browser comes.
  await Deno.permissions.request({ name: "read", path: root });
  await Deno.stat(new URL("examples/chat/index.html", root));

  const server = serve(Chat, {
    port,
    hostname,
    fetch: serveFile,
    onListen: (addr) => console.log(`Chat at ${addressToOpen(addr)}`),
  });

  const end = async () => {
    // A second Ctrl+C ends what the first could not.
    Deno.removeSignalListener("SIGINT", end);
    await server.shutdown();
    // A timer of each connection that broke keeps Deno (2.9.5) from ending by
    // itself for up to 15 seconds.
    Deno.exit();
  };
  Deno.addSignalListener("SIGINT", end);
} catch (error) {
  const isInUse = error instanceof Deno.errors.AddrInUse;
  if (isInUse) console.error("Cannot listen: another program has that PORT");
  else console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
