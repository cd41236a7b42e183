import { hibernate, type ObjectState } from "@jsonrpcws/peer/workers";
import { DurableObject } from "cloudflare:workers";
import { Shop } from "./service.js";

/** The types that Cloudflare has fit those of the door. */
export class Room extends DurableObject {
  constructor(ctx: DurableObjectState, env: never) {
    super(ctx, env);
    const shop = hibernate(ctx, Shop);
    Object.assign(this, shop);
    const state: ObjectState = ctx;
    const handlers: Pick<
      DurableObject,
      "fetch" | "webSocketMessage" | "webSocketClose" | "webSocketError"
    > = shop;
    // @ts-expect-error: there is no such handler.
    const wrong = (): unknown => [state, handlers, shop.webSocketOpen];
    void wrong;
  }
}
