/**
 * Runs an example as a program: its address, its output, its end.
 *
 * `PORT` is the port to listen on, any free one if 0. `HOSTNAME` is the IP
 * address to listen on, of this machine alone unless given.
 *
 * @module
 */

/** The address to listen on; a part of the options of `serve`. */
export interface Address {
  readonly port: number;
  readonly hostname: string;
  /** Prints the address that a person opens. */
  readonly onListen: (addr: Deno.NetAddr) => void;
}

/**
 * Starts a server, and drains it at Ctrl+C or SIGTERM: running calls may finish, and
 * its clients are told when to come back. If it can't start, the program says why in
 * one sentence and ends with 1.
 *
 * @param name The text before the printed address.
 * @param port The port unless `PORT` says otherwise.
 * @param serve Starts the server.
 */
export async function listen(
  name: string,
  port: number,
  serve: (address: Address) => Promise<{ drain(): Promise<unknown> }>,
): Promise<void> {
  try {
    const server = await serve({
      port: await portToListenOn(port),
      hostname: await addressToListenOn(),
      onListen: (addr) => console.log(`${name} at ${addressToOpen(addr)}`),
    });

    const signals = Deno.build.os === "windows"
      ? ["SIGINT"] as const
      : ["SIGINT", "SIGTERM"] as const;
    const end = async () => {
      // A second Ctrl+C ends the program at once.
      for (const signal of signals) Deno.removeSignalListener(signal, end);
      await server.drain();
      // Deno (2.9.5) keeps a timer of each connection that broke, and would not end
      // by itself for up to 15 seconds.
      Deno.exit();
    };
    for (const signal of signals) Deno.addSignalListener(signal, end);
  } catch (error) {
    const isInUse = error instanceof Deno.errors.AddrInUse;
    if (isInUse) console.error("Cannot listen: another program has that PORT");
    else console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}

/** An environment variable; undefined, too, if it may not be read. */
async function env(variable: string): Promise<string | undefined> {
  const { state } = await Deno.permissions.request({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

async function portToListenOn(usual: number): Promise<number> {
  const given = await env("PORT") || String(usual);
  const port = Number(given);
  if (/^\d+$/.test(given) && port <= 65535) return port;
  throw new RangeError(
    `Cannot listen on port "${given}": PORT must be a number from 0 to 65535`,
  );
}

async function addressToListenOn(): Promise<string> {
  const given = await env("HOSTNAME") ?? "";
  // Shells and containers set this variable to the name of the machine by
  // themselves, so only an IP address is taken.
  return /^[\d.]+$|:/.test(given) ? given : "127.0.0.1";
}

/** The address to type: no browser opens "every address", and a name is nicer. */
function addressToOpen({ hostname, port }: Deno.NetAddr): string {
  if (["127.0.0.1", "::1", "0.0.0.0", "::"].includes(hostname)) {
    return `http://localhost:${port}`;
  }
  return `http://${
    hostname.includes(":") ? `[${hostname}]` : hostname
  }:${port}`;
}
