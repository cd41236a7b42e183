/**
 * Calls that take longer than their time-out, with the defaults of both sides: who
 * shows life is waited for.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type BasePeer, Peer } from "../../mod.ts";
import { serve } from "../../server.ts";
import { faces } from "../faces.ts";
import { collect } from "../stage.ts";
import { pass, together } from "./together.ts";

// Longer than a call's 60 seconds, with the sixteenth that they may take more.
const seconds = 75;

async function* each(step: number): AsyncGenerator<number> {
  for (let second = 0; second < seconds; second += step) {
    await pass(step * 1_000);
    yield second;
  }
}

class Slow extends Peer {
  override local = {
    upload: async (values: AsyncIterable<number>) => {
      let count = 0;
      for await (const _ of values) count++;
      return count;
    },
    job: async () => {
      const { call } = this;
      for await (const second of each(1)) call.progress(second);
      return "done";
    },
    visit: async (visit: (second: number) => Promise<void>) => {
      for await (const second of each(1)) await visit(second);
      return "visited";
    },
    download: () => each(25),
  };
}

const ways: {
  readonly [what: string]: (client: BasePeer) => Promise<void>;
} = {
  "An upload arrives": async (client) => {
    assertEquals(await client.request("upload", [each(5)]), seconds / 5);
  },
  "A slow upload arrives": async (client) => {
    assertEquals(await client.request("upload", [each(seconds)]), 1);
  },
  "A job that reports each second is waited for": async (client) => {
    let count = 0;
    const options = { onprogress: () => void count++ };
    assertEquals(await client.request("job", [], options), "done");
    assertEquals(count, seconds);
  },
  "A job that reports to nobody is waited for": async (client) => {
    assertEquals(await client.request("job"), "done");
  },
  "A job that calls back each second is waited for": async (client) => {
    let count = 0;
    const visit = (): void => void count++;
    assertEquals(await client.request("visit", [visit]), "visited");
    assertEquals(count, seconds);
  },
  "A stream is read to its end": async (client) => {
    assertEquals(await collect(client.remote["download"]!()), [0, 25, 50]);
  },
};

for (const face of faces) {
  for (const [what, way] of Object.entries(ways)) {
    together(
      `${what} that takes ${seconds} seconds, ${face.name}`,
      async () => {
        await using server = serve(Slow, { port: 0, onListen() {} });
        const client = face.connect(server.url);
        await way(client);
        client.close();
        await client.closed;
      },
    );
  }
}
