import { Peer } from "@jsonrpcws/peer";
import { connect } from "@jsonrpcws/peer/client";
import { socketPair } from "@jsonrpcws/peer/testing";
import { upgrade } from "@jsonrpcws/peer/workers";
import { type Client, exercise, page } from "./exercise.js";
import { Shop } from "./service.js";

interface Env {
  readonly SHOP?: string;
}

export type { Room } from "./room.js";

/** A Worker of one line. */
export const service: ExportedHandler<Env> = { fetch: upgrade(Shop) };

export default {
  async fetch(_request: Request, env: Env): Promise<Response> {
    if (env.SHOP !== undefined) {
      const client: Client = connect(env.SHOP, { local: page });
      return new Response(await exercise(client));
    }
    const [left, right] = socketPair();
    const shop = new Shop(left);
    const client = new Peer<Shop["local"]>(right, { local: page });
    const text = await exercise(client);
    shop.close();
    // @ts-expect-error: it is a number.
    const wrong = (): unknown => client.close("1000");
    return new Response(`${text}, ${typeof wrong}`);
  },
};
