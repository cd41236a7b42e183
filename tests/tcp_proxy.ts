/** A network of the tests' own, between a page and its server, that can be cut. */

/** A proxy for the TCP connections to one port of this machine. */
export class TcpProxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  readonly #port: number;
  readonly #ends = new Set<Deno.TcpConn>();
  readonly #running = new Set<Promise<void>>();
  /** The servers' ends of connections whose other end has gone. */
  readonly #held: Deno.TcpConn[] = [];
  #isMute = false;
  #isDead = false;
  #isCut = false;

  /** @param port The server's. */
  constructor(port: number) {
    this.#port = port;
    this.#run(this.#listen());
  }

  /** The port for clients to connect to. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Lets nothing more come from the server, who goes on getting everything. */
  mute(): void {
    this.#isMute = true;
  }

  /** Lets nothing pass any more, either way, and tells nobody. */
  die(): void {
    this.#isMute = this.#isDead = true;
  }

  /**
   * Takes the clients' connections away and lets no other begin. The server is
   * told nothing: its ends stay open, as they do when a cable is pulled.
   */
  cut(): void {
    this.#isCut = true;
    for (const end of this.#ends) close(end);
    this.#ends.clear();
  }

  /** Lets connections begin again; the old ones stay dead. */
  restore(): void {
    this.#isMute = this.#isDead = false;
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listener.close();
    for (const end of this.#held) close(end);
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #listen(): Promise<void> {
    for await (const client of this.#listener) {
      if (this.#isCut) close(client);
      else this.#run(this.#join(client));
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({
      hostname: "127.0.0.1",
      port: this.#port,
    }).catch(() => undefined);
    if (server === undefined) return close(client); // The server is down.
    // What comes in pieces is not to wait for the other side's word.
    for (const end of [client, server]) end.setNoDelay();
    this.#held.push(server);
    if (this.#isCut) return close(client);
    this.#ends.add(client);
    const toClient = copy(server, client, () => this.#isMute).finally(() => {
      // What the server ends is ended; what was cut is not, nor what is dead.
      if (!this.#isDead && this.#ends.delete(client)) close(client);
    });
    await copy(client, server, () => this.#isDead);
    if (!this.#isDead && this.#ends.delete(client)) close(client, server);
    await toClient;
  }
}

/** Passes on what comes unless it is to be dropped, until either end has gone. */
async function copy(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  isDropped = (): boolean => false,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (;;) {
      const length = await from.read(buffer);
      if (length === null) return;
      if (isDropped()) continue;
      for (let start = 0; start < length;) {
        start += await to.write(buffer.subarray(start, length));
      }
    }
  } catch {
    // It was reset, or closed by us.
  }
}

/** Closes connections that may be closed already. */
function close(...ends: Deno.TcpConn[]): void {
  for (const end of ends) {
    try {
      end.close();
    } catch {
      // It was.
    }
  }
}
