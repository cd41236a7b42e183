/**
 * What seconds/workers_test.ts runs in workerd: the room of the guide; a service as a
 * Worker and as a Durable Object; an object that tells of its sleep.
 */

import { marshal, Peer } from "../../mod.ts";
import { hibernate, type ObjectState, upgrade } from "../../workers.ts";
import { Service } from "../runtime_server.ts";
import room, { Room } from "./room.ts";

export { Room };

/** The service of runtime_client.ts in an object. */
export class Served {
  constructor(ctx: ObjectState) {
    Object.assign(this, hibernate(ctx, Service));
  }
}

/** What its clients let be called. */
interface Page {
  never(): void;
  hear(text: string): void;
}

/** Who somebody is, or nobody. */
type Who = { readonly name: string } | undefined;

/** An object that tells how often it was made anew. */
export class Sleeper {
  constructor(ctx: ObjectState) {
    const life = crypto.randomUUID();
    let ring = (_text: string): void => {};
    class Member extends Peer<Page, Who> {
      readonly #events: string[] = [];
      override local = {
        life: (): string => life,
        events: (): string[] => this.#events,
        count: (): number => all.peers.size,
        whoAmI: (): Who => this.context,
        signIn: (name: string): void => void (this.context = { name }),
        signInBadly: (): void => void (this.context = (() => {}) as never),
        wait: (): Promise<string> => new Promise((resolve) => ring = resolve),
        ring: (text: string): void => ring(text),
        tick: async function* (): AsyncGenerator<number> {
          for (let n = 0;; n++) yield await Promise.resolve(n);
        },
        lend: (): unknown => marshal({ life: () => life }),
        askNever: (timeout: number): Promise<void> =>
          this.with({ timeout }).never(),
        tell: (text: string): void => {
          for (const peer of all.peers) peer.notify("hear", [text]);
        },
        leave: (): void => this.close(4001, "as you wish"),
      };
      override onopen(): void {
        this.#events.push("open");
      }
      override onresume(): void {
        this.#events.push("resume");
      }
      override onerror(): void {}
    }
    const all = hibernate<Member, Who>(ctx, Member, {
      authorize: (request) => {
        const name = new URL(request.url).searchParams.get("name");
        return name === "mallory"
          ? new Response("Not you", { status: 401 })
          : name === null
          ? undefined
          : { name };
      },
      origins: ["https://example.com"],
      protocols: ["chat"],
      onrefuse() {},
    });
    Object.assign(this, all);
  }
}

/** The names of the objects' classes, by path. */
interface Env {
  readonly [binding: string]: {
    getByName(name: string): { fetch(request: Request): Promise<Response> };
  };
}

const service = upgrade(Service);

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    const [, place, name] = new URL(request.url).pathname.split("/");
    if (place === "service") return service(request, env);
    const objects = place === "served"
      ? env.SERVED
      : place === "sleeper"
      ? env.SLEEPER
      : undefined;
    return objects?.getByName(name!).fetch(request) ??
      room.fetch(request, env as never);
  },
};
