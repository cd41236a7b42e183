/** The service of the upload: reads a file from a stream that it is passed. */

import { createHash } from "node:crypto";
import { type Call, ErrorCode, Peer, RpcError } from "../../mod.ts";

/** The page's methods, for the server to call. */
export interface Page {
  /** The server has stopped reading a file before its end, after so many bytes. */
  stopped(name: string, received: number): void;
}

/** The progress of an upload. */
export interface Progress {
  /** Bytes. */
  readonly received: number;
}

/** The result of an upload. */
export interface Receipt extends Progress {
  /** Its SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/** Bytes of the largest file that is taken: 64 MiB. */
export const MAX_SIZE = 67_108_864;

/** A sender of files, from the opening of the connection to its end. */
export class Upload extends Peer<Page> {
  override local = {
    /**
     * Reads a file and forgets it, but for its length and its SHA-256.
     *
     * @param chunks Its bytes, each chunk in base64.
     */
    upload: (
      name: string,
      size: number,
      chunks: AsyncIterable<string>,
    ): Promise<Receipt> => this.#read(name, size, chunks, this.call),
  };

  async #read(
    name: string,
    size: number,
    chunks: AsyncIterable<string>,
    call: Call,
  ): Promise<Receipt> {
    // The static types hold for our own page only: others can connect and send
    // anything.
    if (typeof name !== "string" || !Number.isInteger(size) || size < 0) {
      throw refusal("A file needs a name and a size");
    }
    if (!(Symbol.asyncIterator in Object(chunks))) {
      throw refusal("A file's chunks must be a stream");
    }
    if (size > MAX_SIZE) throw refusal("A file must have at most 64 MiB");

    const { signal } = call;
    const hash = createHash("sha256");
    let received = 0;
    try {
      for await (const chunk of chunks) {
        // After a cancel, chunks that were sent before may still wait here.
        signal.throwIfAborted();
        const bytes = bytesOf(chunk);
        if (received + bytes.length > size) {
          throw refusal("The file has more bytes than its size says");
        }
        received += bytes.length;
        hash.update(bytes);
        call.progress({ received });
      }
    } catch (error) {
      this.notify("stopped", [name, received]);
      throw error;
    }
    if (received < size) {
      throw refusal("The file has fewer bytes than its size says");
    }
    return { received, sha256: hash.digest("hex") };
  }
}

function bytesOf(chunk: unknown): Uint8Array {
  try {
    return Uint8Array.fromBase64(chunk as string);
  } catch {
    throw refusal("A chunk must be in base64");
  }
}

function refusal(why: string): RpcError {
  return new RpcError(ErrorCode.InvalidParams, why);
}
