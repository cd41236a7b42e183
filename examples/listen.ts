/**
 * Runs an example as a program: where it listens, what it prints, how it ends.
 *
 * `PORT` is the port to listen on, any free one if 0. `HOSTNAME` is the IP
 * address to listen on, of this machine alone unless given.
 *
 * @module
 */

/** Where to listen; a part of the options of `serve`. */
export interface Address {
  readonly port: number;
  readonly hostname: string;
  /** Prints the address that a person opens. */
  readonly onListen: (addr: Deno.NetAddr) => void;
}

/**
 * Starts a server, and drains it at Ctrl+C or SIGTERM: what runs may finish, its
 * clients are told when to come back. What prevents its start is said in one
 * sentence and ends the program with 1.
 *
 * @param name What is printed before the address.
 * @param port Where to listen unless `PORT` says otherwise.
 * @param serve Starts it.
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
      // A second Ctrl+C ends at once what the first one lets finish.
      for (const signal of signals) Deno.removeSignalListener(signal, end);
      await server.drain();
      // A timer of each connection that broke keeps Deno (2.9.5) from ending by
      // itself for up to 15 seconds.
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

/** An environment variable; undefined, too, for whom may not read it. */
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
