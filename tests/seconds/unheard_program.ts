/**
 * A program that makes calls and listens to none of them: what ends its process, on
 * any runtime.
 */

import { Peer } from "../../mod.ts";
import { Peer as SmallPeer } from "../../slim.ts";
import { socketPair } from "../../testing.ts";

/** Makes calls that fail in every way, and then does what `ending` says. */
export async function run(ending: "well" | "badly"): Promise<void> {
  for (const Class of [Peer, SmallPeer]) {
    const [left, right] = socketPair();
    const told: string[] = [];
    const there = new Peer(left, {
      local: {
        refuse: () => {
          throw new Error("secret");
        },
        never: () => new Promise(() => {}),
      },
      onerror() {},
    });
    const here = new Class<{ refuse(): void; never(): void }>(right, {
      onerror: (error: unknown) => void told.push(`${error}`),
    });
    await here.opened;

    void here.remote.refuse();
    // What follows from one is nobody's mistake either.
    void (async () => {
      await here.remote.refuse();
    })();
    void here.request("never", [], { timeout: 10 });
    // A call's time is looked at now and then.
    for (let n = 0; n < 100 && told.length < 3; n++) await pause();
    console.log(JSON.stringify(told.splice(0)));

    // The end tells those who hear of ends.
    void here.remote.never();
    there.close();
    await here.closed;
    void here.remote.never();
    await pause();
    console.log(JSON.stringify(told));
  }
  if (ending === "badly") {
    void Promise.reject(new Error("of the program's own"));
    await pause();
    console.log("not reached");
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
