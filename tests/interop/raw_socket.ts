/**
 * A WebSocket that sends the bytes it is told to, valid or not, as no honest one
 * does, from either end: the frames of RFC 6455, section 5, made by hand.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-5.2}
 *
 * @module
 */

/** What a frame is. */
export const Opcode = {
  Continuation: 0x0,
  Text: 0x1,
  Binary: 0x2,
  Close: 0x8,
  Ping: 0x9,
  Pong: 0xa,
} as const;

/** One frame, as it came. */
export interface Frame {
  opcode: number;
  payload: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Makes one frame.
 *
 * @param isFinal Whether its message ends with it.
 * @param isMasked Whether it is a client's, masked, or a server's.
 */
export function frame(
  opcode: number,
  payload: string | Uint8Array,
  isFinal = true,
  isMasked = true,
): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const { length } = bytes;
  const head = new DataView(new ArrayBuffer(10));
  head.setUint8(0, (isFinal ? 0x80 : 0) | opcode);
  let size = 2;
  const flag = isMasked ? 0x80 : 0;
  if (length < 126) head.setUint8(1, flag | length);
  else if (length < 0x1_0000) {
    head.setUint8(1, flag | 126);
    head.setUint16(2, length);
    size = 4;
  } else {
    head.setUint8(1, flag | 127);
    head.setUint32(6, length);
    size = 10;
  }
  const start = new Uint8Array(head.buffer, 0, size);
  if (!isMasked) return join([start, bytes]);
  const mask = [0x12, 0x34, 0x56, 0x78];
  return join([
    start,
    Uint8Array.from(mask),
    bytes.map((byte, index) => byte ^ mask[index % 4]!),
  ]);
}

/**
 * One connection; made by {@linkcode RawSocket.connect} or
 * {@linkcode RawSocket.accept}.
 */
export class RawSocket implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #isServer: boolean;
  #isCut = false;
  #read = new Uint8Array();

  private constructor(connection: Deno.TcpConn, isServer = false) {
    this.#connection = connection;
    this.#isServer = isServer;
  }

  /** Connects, and completes the handshake; offers a subprotocol or none. */
  static async connect(url: string, protocol?: string): Promise<RawSocket> {
    const { hostname, port, host, pathname } = new URL(url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const socket = new RawSocket(connection);
    await socket.#write(encoder.encode(
      [
        `GET ${pathname} HTTP/1.1`,
        `Host: ${host}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ...protocol === undefined
          ? []
          : [`Sec-WebSocket-Protocol: ${protocol}`],
        "\r\n",
      ].join("\r\n"),
    ));
    const head = await socket.#head();
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(head);
    return socket;
  }

  /** Answers the handshake of a client that has connected. */
  static async accept(connection: Deno.TcpConn): Promise<RawSocket> {
    const socket = new RawSocket(connection, true);
    const head = await socket.#head();
    const [, key] = /^sec-websocket-key: *(.*)\r$/im.exec(head)!;
    const digest = await crypto.subtle.digest(
      "SHA-1",
      encoder.encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
    );
    await socket.#write(encoder.encode(
      [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Accept: ${
          btoa(String.fromCharCode(...new Uint8Array(digest)))
        }`,
        "\r\n",
      ].join("\r\n"),
    ));
    return socket;
  }

  /** Sends messages, each a text frame, in one piece. */
  async say(...texts: string[]): Promise<void> {
    await this.send(
      ...texts.map((text) => frame(Opcode.Text, text, true, !this.#isServer)),
    );
  }

  /** Sends frames, made by {@linkcode frame}, in one piece. */
  async send(...frames: Uint8Array[]): Promise<void> {
    // One write: a second one would wait until the first is acknowledged.
    await this.#write(join(frames));
  }

  /**
   * Waits for the next frame.
   *
   * @returns `undefined` if the connection ended instead.
   */
  async receive(): Promise<Frame | undefined> {
    try {
      const [first, second] = await this.#take(2);
      let length = second! & 0x7f;
      if (length === 126) length = number(await this.#take(2));
      else if (length === 127) length = number(await this.#take(8));
      const mask = second! & 0x80 ? await this.#take(4) : undefined;
      const payload = await this.#take(length);
      if (mask !== undefined) {
        for (let at = 0; at < length; at++) payload[at]! ^= mask[at % 4]!;
      }
      return { opcode: first! & 0x0f, payload };
    } catch (error) {
      if (isEnd(error)) return undefined;
      throw error;
    }
  }

  /** Waits for a close frame, and returns its code; `undefined`: it was none. */
  async closeCode(): Promise<number | undefined> {
    const frame = await this.receive();
    return frame?.opcode === Opcode.Close
      ? number(frame.payload.subarray(0, 2))
      : undefined;
  }

  /**
   * Waits for the next message.
   *
   * @returns Its text; `undefined` if the connection was closed instead.
   */
  async text(): Promise<string | undefined> {
    const frame = await this.receive();
    return frame?.opcode === Opcode.Text
      ? decoder.decode(frame.payload)
      : undefined;
  }

  /** Cuts the connection, once. */
  [Symbol.dispose](): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#connection.close();
  }

  async #head(): Promise<string> {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      head += decoder.decode(await this.#take(1));
    }
    return head;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      rest = rest.subarray(await this.#connection.write(rest));
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#read.length < length) {
      const chunk = new Uint8Array(0x1_0000);
      const count = await this.#connection.read(chunk);
      if (count === null) throw new Deno.errors.UnexpectedEof();
      this.#read = join([this.#read, chunk.subarray(0, count)]);
    }
    const taken = this.#read.slice(0, length);
    this.#read = this.#read.subarray(length);
    return taken;
  }
}

function isEnd(error: unknown): boolean {
  return error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.ConnectionReset;
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(
    parts.reduce((length, part) => length + part.length, 0),
  );
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

function number(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
