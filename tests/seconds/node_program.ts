/** The server for Node as real Node runs it, sources as they are. */

import { request } from "node:http";
import { connect } from "../../client.ts";
import type { RpcError } from "../../mod.ts";
import { Peer } from "../../mod.ts";
import { connect as connectByWs, serve } from "../../node.ts";
import type { PeerSocket } from "../../src/runtime/ws_socket.ts";
import { countedWrites } from "../counted_writes.ts";

let answer: (text: string) => void;
const bell: Promise<string> = new Promise((resolve) => answer = resolve);

class Service extends Peer {
  override local = {
    echo: (value: unknown): unknown => value,
    wait: () => bell,
  };
}

/** Shakes hands with a header, and returns the answer's status. */
function knock(url: string, name: string, value: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url.replace("ws", "http"), {
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        [name]: value,
      },
    });
    asked.on("response", ({ statusCode = 0 }) => resolve(statusCode));
    asked.on("upgrade", ({ statusCode = 0 }, socket) => {
      socket.destroy();
      resolve(statusCode);
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Posts to a page, as clients do that would rather speak HTTP/2. */
function offer(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url.replace("ws", "http")}form`, {
      method: "POST",
      headers: { connection: "Upgrade", upgrade: "h2c" },
    });
    asked.on("response", async (response) => {
      let text = "";
      for await (const part of response) text += part;
      resolve(text);
    });
    asked.on("error", reject);
    asked.end(", hello");
  });
}

// Ends are looked at here, not beginnings.
const once = { reconnect: false };

/** Does a bit of everything. */
export async function exercise(): Promise<unknown[]> {
  const done: unknown[] = [];
  const server = await serve(Service, {
    onrefuse() {},
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) =>
      new Response(
        `A page at ${new URL(request.url).pathname}${await request.text()}`,
      ),
  });
  const { url } = server;
  const client = connect<Service["local"]>(url, once);
  done.push(await client.remote.echo("hello"));
  const page = await fetch(`${url.replace("ws", "http")}about`);
  done.push(await page.text());
  done.push(await offer(url));
  done.push(await knock(url, "origin", "https://evil.net"));
  done.push(await knock(url, "host", "evil.net"));
  done.push(
    await knock(url, "origin", new URL(url.replace("ws", "http")).origin),
  );

  const long = connect<Service["local"]>(url, once);
  await long.opened;
  (long.ws as WebSocket).send("x".repeat(3 * 1_048_576 + 1));
  done.push((await long.closed).code);

  const quick = connectByWs<Service["local"]>(url, once);
  await quick.opened;
  const writes = countedWrites((quick.ws as PeerSocket).stream!);
  const echoes = Array.from({ length: 64 }, (_, n) => quick.remote.echo(n));
  done.push((await Promise.all(echoes)).length, writes());
  quick.close();
  await quick.closed;

  const idle = connect<Service["local"]>(url, once);
  const waited = client.remote.wait();
  await client.remote.echo("It runs");
  await idle.opened;
  // Those that were cut are not known to be gone at once.
  while (server.peers.size > 2) await client.remote.echo("still here");
  const drained = server.drain();
  const refused = await client.remote.echo("late").catch((error: RpcError) =>
    error.code
  );
  answer("done");
  done.push([refused, await waited, (await client.closed).code]);
  done.push(await drained);
  await server.finished;
  return done;
}
