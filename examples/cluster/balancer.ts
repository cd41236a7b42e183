/**
 * A load balancer in a page of code, in place of HAProxy or nginx: each connection
 * goes to the next server that takes it.
 *
 * @module
 */

/** Passes connections on until its listener is closed. */
export async function balance(
  listener: Deno.TcpListener,
  ports: ReadonlySet<number>,
): Promise<void> {
  // WebSockets have their own turns, so that two pages are on two servers,
  // regardless of the number of files that each loads.
  const turns = { webSocket: 0, file: 0 };
  for await (const client of listener) {
    pass(client, ports, turns).catch(() => {}); // Either end has gone.
  }
}

async function pass(
  client: Deno.TcpConn,
  ports: ReadonlySet<number>,
  turns: { webSocket: number; file: number },
): Promise<void> {
  const buffer = new Uint8Array(16_384);
  const length = await client.read(buffer) ?? 0;
  const beginning = buffer.subarray(0, length);
  const isWebSocket = /^upgrade: *websocket\r$/im.test(
    new TextDecoder().decode(beginning),
  );
  const turn = turns[isWebSocket ? "webSocket" : "file"]++;
  const server = await connect([...ports], turn);
  if (server === undefined || length === 0) {
    server?.close();
    return client.close();
  }
  const writer = server.writable.getWriter();
  await writer.write(beginning);
  writer.releaseLock();
  await Promise.all([
    client.readable.pipeTo(server.writable),
    server.readable.pipeTo(client.writable),
  ]);
}

/** Connects to the server whose turn it is, or to the next one that answers. */
async function connect(
  ports: readonly number[],
  turn: number,
): Promise<Deno.TcpConn | undefined> {
  for (let index = 0; index < ports.length; index++) {
    const port = ports[(turn + index) % ports.length]!;
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch {
      // It has just gone.
    }
  }
  return undefined;
}
