/**
 * A network between clients and a server, as bad as it is told to be. It carries
 * bytes and knows nothing of their meaning.
 *
 * @module
 */

import { once } from "node:events";
import {
  type AddressInfo,
  connect,
  createServer,
  type Server,
  type Socket,
} from "node:net";

/** Both ways of a connection, or one. */
export type Direction = "up" | "down" | "both";

const host = "127.0.0.1";

/** A port that forwards to another one. */
export class Network implements AsyncDisposable {
  readonly #server: Server;
  readonly #wires = new Set<Wire>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * Listens on a free port.
   *
   * @param port The port of the server, which may start later.
   * @param chooseLatency Returns a new connection's latency for a chunk, each way, in
   * milliseconds.
   */
  static async open(
    port: number,
    chooseLatency: () => number = () => 0,
  ): Promise<Network> {
    const server = createServer({ allowHalfOpen: true });
    const network = new Network(server);
    server.on("connection", (client) => {
      const upstream = connect({ port, host, allowHalfOpen: true });
      const wire = new Wire(client, upstream, chooseLatency());
      network.#wires.add(wire);
      wire.closed.then(() => network.#wires.delete(wire));
    });
    server.listen(0, host);
    await once(server, "listening");
    return network;
  }

  /** The port that clients connect to. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Its connections, the oldest first. */
  get wires(): Wire[] {
    return [...this.#wires];
  }

  /** Ends every fault: stalled connections flow, those that lost bytes are cut. */
  heal(): void {
    for (const wire of this.#wires) wire.heal();
  }

  /** Cuts every connection, and listens no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { wires } = this;
    for (const wire of wires) wire.reset();
    this.#server.close();
    await Promise.all(wires.map((wire) => wire.closed));
  }
}

/** One connection through the network. */
export class Wire {
  /** Resolves when both its sockets are gone. */
  readonly closed: Promise<void>;
  readonly #sockets: readonly [client: Socket, server: Socket];
  readonly #ways: readonly [up: Way, down: Way];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLost = false;

  constructor(client: Socket, server: Socket, latency: number) {
    this.#sockets = [client, server];
    this.#ways = [
      new Way(client, server, latency),
      new Way(server, client, latency),
    ];
    for (const socket of this.#sockets) {
      socket.setNoDelay();
      // A cut on one side is a cut on the other.
      socket.on("error", () => this.reset());
    }
    const gone = this.#sockets.map((socket) =>
      new Promise((resolve) => socket.on("close", resolve))
    );
    this.closed = Promise.all(gone).then(() => clearTimeout(this.#timer));
  }

  /** Ends the streams of bytes, both ways. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts the connection with a RST to both sides. */
  reset(): void {
    for (const way of this.#ways) way.lose();
    for (const socket of this.#sockets) {
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  }

  /** Cuts the connection amid the next chunk. */
  tear(): void {
    for (const way of this.#ways) way.tear(() => this.reset());
  }

  /** Holds back all bytes for some milliseconds. */
  stall(direction: Direction, milliseconds: number): void {
    for (const way of this.#choose(direction)) way.hold();
    this.#schedule(milliseconds);
  }

  /** Loses all bytes silently, and is cut after some milliseconds. */
  lose(direction: Direction, milliseconds: number): void {
    this.#isLost = true;
    for (const way of this.#choose(direction)) way.lose();
    this.#schedule(milliseconds);
  }

  /** Ends the fault. A connection that lost bytes is cut, since they can't come back. */
  heal(): void {
    clearTimeout(this.#timer);
    if (this.#isLost) return this.reset();
    for (const way of this.#ways) way.flow();
  }

  #choose(direction: Direction): readonly Way[] {
    const [up, down] = this.#ways;
    return direction === "both" ? this.#ways : [direction === "up" ? up : down];
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.heal(), milliseconds);
  }
}

/** A chunk on its way; `undefined`: the end of the stream. */
interface Arrival {
  readonly chunk: Uint8Array | undefined;
  readonly time: number;
}

/** One direction of a connection. */
class Way {
  readonly #to: Socket;
  readonly #latency: number;
  #arrivals: Arrival[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isHeld = false;
  #isLost = false;
  #tear: (() => void) | undefined;

  constructor(from: Socket, to: Socket, latency: number) {
    this.#to = to;
    this.#latency = latency;
    from.on("data", (chunk: Uint8Array) => this.#take(chunk));
    from.on("end", () => this.#take(undefined));
    from.on("close", () => this.#take(undefined));
  }

  hold(): void {
    this.#isHeld = true;
  }

  flow(): void {
    this.#isHeld = false;
    this.#deliver();
  }

  lose(): void {
    this.#isLost = true;
    this.#arrivals = [];
    clearTimeout(this.#timer);
  }

  /** Writes half of the next chunk, then calls. */
  tear(call: () => void): void {
    this.#tear = call;
  }

  #take(chunk: Uint8Array | undefined): void {
    if (this.#isLost) return;
    const time = performance.now() + this.#latency;
    this.#arrivals.push({ chunk, time });
    if (this.#arrivals.length === 1) this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    while (!this.#isHeld && this.#arrivals.length > 0) {
      const [{ chunk, time } = { chunk: undefined, time: 0 }] = this.#arrivals;
      const wait = time - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#deliver(), wait);
        return;
      }
      this.#arrivals.shift();
      if (chunk === undefined) this.#to.end();
      else this.#write(chunk);
    }
  }

  #write(chunk: Uint8Array): void {
    const tear = this.#tear;
    if (tear === undefined) return void this.#to.write(chunk);
    this.#tear = undefined;
    this.#to.write(chunk.subarray(0, chunk.length / 2), tear);
  }
}
