/**
 * What a client does on a platform that lacks much of what a browser has, bundled
 * by platforms_test.ts: it calls, and its calls settle.
 *
 * @module
 */

import * as client from "../../client.ts";
import { Peer, type Socket } from "../../mod.ts";
import * as slim from "../../slim.ts";
import { type MemorySocket, socketPair } from "../../testing.ts";

const local = {
  add: (a: number, b: number) => a + b,
  echo: (value: { a: number[] }) => value,
  never: () => new Promise<never>(() => {}),
  async *count() {
    for (let n = 0; n < 3; n++) yield await Promise.resolve(n);
  },
};

/** A socket without what Cloudflare's workers don't have, `bufferedAmount`. */
function withoutAmount(socket: MemorySocket): Socket {
  return {
    get readyState() {
      return socket.readyState;
    },
    binaryType: "blob",
    send: (data: string) => socket.send(data),
    close: (code?: number, reason?: string) => socket.close(code, reason),
    addEventListener: (type, listener) =>
      socket.addEventListener(type, listener),
    removeEventListener: (type, listener) =>
      socket.removeEventListener(type, listener),
  } as Socket;
}

function createSocket(): Socket {
  const [left, right] = socketPair();
  new Peer(left, { local, onerror: () => {} });
  return withoutAmount(right);
}

/** What a call rejects with. */
async function rejection(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "none";
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message}`;
  }
}

/** Says what has been done. */
export async function exercise(): Promise<string[]> {
  const done: string[] = [];
  const options = { createSocket, use: [slim.streams] };
  const url = "ws://localhost/";
  for (
    const peer of [
      client.connect<typeof local>(url, options),
      slim.connect<typeof local>(url, options),
    ]
  ) {
    done.push(`sum ${await peer.remote.add(1, 2)}`);
    done.push(JSON.stringify(await peer.remote.echo({ a: [1] })));
    const items: number[] = [];
    for await (const n of peer.remote.count()) items.push(n);
    done.push(`items ${items}`);

    const late = new AbortController();
    const aborted = rejection(peer.with({ signal: late.signal }).never());
    late.abort();
    done.push(await aborted);
    done.push(await rejection(peer.with({ signal: late.signal }).never()));
    done.push(await rejection(peer.with({ timeout: 20 }).never()));

    const lost = rejection(peer.remote.never());
    peer.close(4000, "é".repeat(100));
    const { code, reason } = await peer.closed;
    done.push(`closed ${code} ${reason.length}`, (await lost).slice(0, 21));
  }

  const [left, right] = socketPair();
  const heard: unknown[] = [];
  const reader = new Peer(left, {
    local: { hear: (text: string) => void heard.push(text) },
    onerror: () => {},
  });
  const writer = new Peer(withoutAmount(right), {
    sharedFrames: true,
    onerror: () => {},
  });
  await writer.opened;
  await writer.drained();
  left.send("[]");
  for (let n = 0; n < 300; n++) writer.notify("hear", ["é".repeat(100)]);
  await writer.request("rpc.ping");
  done.push(`heard ${heard.length}`);
  writer.close();
  await reader.closed;
  return done;
}

(globalThis as { exercise?: typeof exercise }).exercise = exercise;
