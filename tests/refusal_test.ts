/** A server that refuses a handshake tells its owner why, on both servers. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Peer } from "../mod.ts";
import type { Refusal } from "../server.ts";
import {
  addressIn,
  addressOn,
  bothTest,
  cloudflares,
  handshake,
  type Options,
  type Platform,
  until,
  upgradeLines,
} from "./servers.ts";
import { connectOnce as connect } from "./connect_once.ts";

/** Shakes hands, and returns the status. */
async function knock(
  server: { url: string },
  ...more: string[]
): Promise<number> {
  const { head, conn } = await handshake(server, [...upgradeLines, ...more]);
  conn.close();
  return Number(head.split(" ")[1]);
}

/** What the owner of a server is told of those that knock. */
async function refusals(
  platform: Platform,
  options: Options,
  knockAt: (server: { url: string }) => Promise<unknown>,
): Promise<Refusal[]> {
  const told: Refusal[] = [];
  await using server = await platform.serve(Peer, {
    ...options,
    onrefuse(refusal: Refusal<{ remoteAddr: unknown }>) {
      told.push(refusal);
      options.onrefuse?.(refusal);
    },
  });
  await knockAt(server);
  return told;
}

const shown = (told: readonly Refusal[]): unknown[] =>
  told.map(({ reason, status }) => [reason, status]);

bothTest(
  "onrefuse is told of each handshake that is refused, why, and what would let it in",
  async (platform) => {
    const asked: unknown[] = [];
    const [origin, ...none] = await refusals(platform, {
      onrefuse({ request, info }) {
        asked.push(request.headers.get("origin"), addressIn(info));
      },
    }, async (server) => {
      assertEquals(await knock(server, "Origin: https://evil.net"), 403);
      assertEquals(await knock(server), 101);
    });
    assertEquals(none, []);
    assertEquals([origin!.reason, origin!.status], ["origins", 403]);
    assertMatch(
      origin!.message,
      /^Refused a handshake with 403: a page of "https:\/\/evil.net" asks, .*set origins, \["https:\/\/evil.net"\]/,
    );
    assertEquals(asked, ["https://evil.net", addressOn(platform)]);

    const [host] = await refusals(
      platform,
      {},
      (server) => knock(server, "Host: evil.net"),
    );
    assertEquals([host!.reason, host!.status], ["hosts", 403]);
    assertMatch(host!.message, /"evil\.net".*set hosts$/);

    const authorized = await refusals(platform, {
      authorize: ({ url }) =>
        url.endsWith("?now")
          ? new Response(null, { status: 401 })
          : Promise.resolve(new Response(null, { status: 418 })),
    }, (server) => knock(server));
    assertEquals(shown(authorized), [["authorize", 418]]);

    const full = await refusals(
      platform,
      { limits: { connections: 0 } },
      (server) => knock(server),
    );
    assertEquals(shown(full), [["connections", 503]]);
    assertMatch(full[0]!.message, /0 of at most 0 .*set limits\.connections$/);

    const strangers = await refusals(
      platform,
      { limits: { unauthenticated: 0 } },
      (server) => knock(server),
    );
    assertEquals(shown(strangers), [["unauthenticated", 503]]);
    assertMatch(strangers[0]!.message, /set limits\.unauthenticated$/);

    const slow = await refusals(platform, {
      authorize: () => new Promise<void>(() => {}),
      limits: { authorizationTime: 20 },
    }, (server) => knock(server));
    assertEquals(shown(slow), [["authorizationTime", 503]]);
    assertMatch(slow[0]!.message, /20 ms; set limits\.authorizationTime$/);

    const thrown: unknown[] = [];
    const broken = await refusals(platform, {
      authorize() {
        throw new Error("mine");
      },
      onerror: (error) => void thrown.push(error),
    }, (server) => knock(server));
    assertEquals([shown(broken), thrown.length], [[["error", 500]], 1]);
  },
);

bothTest(
  "onrefuse is told of who comes while the server shuts down",
  async (platform) => {
    const told: Refusal[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = await platform.define({
      local: { wait: () => promise },
      onrefuse: (refusal) => void told.push(refusal),
    });
    await using client = connect(server.url);
    const call = client.request("wait");
    await until(() =>
      [...server.peers].some((peer) => peer.running.length > 0)
    );
    const drained = server.drain();
    assertEquals(await knock(server), 503);
    resolve();
    await call;
    await drained;
    assertEquals(shown(told), [["shutdown", 503]]);
  },
  cloudflares.drain,
);

bothTest(
  "onrefuse that throws is reported, and the handshake refused all the same",
  async (platform) => {
    for (
      const onrefuse of [
        () => Promise.reject(new Error("mine")),
        () => {
          throw new Error("mine");
        },
      ]
    ) {
      const thrown: string[] = [];
      await using server = await platform.serve(Peer, {
        onrefuse,
        onerror: (error) => void thrown.push(`${error}`),
      });
      assertEquals(await knock(server, "Origin: https://evil.net"), 403);
      assertEquals(thrown, ["Error: mine"]);
    }
  },
);

bothTest(
  "A server without onrefuse warns once of each reason, and quotes what strangers say",
  async (platform) => {
    const { warn, error } = console;
    const lines: string[] = [];
    console.warn = (...words): void => void lines.push(words.join(" "));
    console.error = (): void => {};
    try {
      await using server = await platform.serve(Peer, {
        onrefuse: undefined as never,
        authorize({ headers }) {
          if (headers.has("x-fail")) throw new Error("mine");
          return new Response(null, { status: 401 });
        },
      });
      const long = `Origin: https://${"x".repeat(200)}.net`;
      const secrets = ["Cookie: id=hunter2", "Authorization: hunter2"];
      for (let time = 0; time < 3; time++) {
        assertEquals(await knock(server, long, ...secrets), 403);
        assertEquals(await knock(server, "Host: evil.net", ...secrets), 403);
        assertEquals(await knock(server, ...secrets), 401);
        assertEquals(await knock(server, "X-Fail: 1", ...secrets), 500);
      }
    } finally {
      console.warn = warn;
      console.error = error;
    }
    assertEquals(lines.length, 3);
    assert(lines[0]!.includes(JSON.stringify(`https://${"x".repeat(92)}`)));
    assert(lines.every((line) => line.includes("set onrefuse")), `${lines}`);
    assert(lines.every((line) => !line.includes("hunter2")), `${lines}`);
  },
);

/** Handshakes that are malformed: the lines, the status, and what is said of it. */
const malformed: readonly [
  lines: readonly string[],
  status: number,
  message: RegExp,
  method?: string,
][] = [
  [upgradeLines.toSpliced(3, 1), 400, /Sec-WebSocket-Key/],
  [[...upgradeLines.slice(0, 3), "Sec-WebSocket-Key: short"], 400, /-Key/],
  [upgradeLines.toSpliced(1, 1), 426, /Upgrade or Connection .* proxy/],
  [upgradeLines.toSpliced(0, 1), 426, /Upgrade or Connection .* proxy/],
  [upgradeLines.toSpliced(0, 1, "Connection: close"), 426, / proxy /],
  [upgradeLines, 405, /method is another than GET/, "PUT"],
];

/** Sends each, and tells the statuses. */
async function knockAll(
  server: { url: string },
): Promise<[status: number, isSame: boolean][]> {
  const statuses: [number, boolean][] = [];
  for (const [lines, status, , method] of malformed) {
    const { head, conn } = await handshake(server, lines, method);
    conn.close();
    const answered = Number(head.split(" ")[1]);
    statuses.push([answered, answered === status]);
  }
  return statuses;
}

bothTest(
  "onrefuse is told of a handshake that is malformed, and fetch is not asked",
  async (platform) => {
    let pages = 0;
    const told = await refusals(platform, {
      fetch: () => {
        pages++;
        return new Response("A page");
      },
    }, async (server) => {
      assertEquals(
        await knockAll(server),
        malformed.map(([, status]) => [status, true]),
      );
      // Which is none, and was to be none.
      const { head, conn } = await handshake(server, ["Upgrade: h2c"]);
      conn.close();
      assertMatch(head, /^HTTP\/1\.1 200 /);
    });
    assertEquals(
      shown(told),
      malformed.map(([, status]) => ["handshake", status]),
    );
    for (const [index, { message, request }] of told.entries()) {
      assertMatch(message, malformed[index]![2]);
      assert(request instanceof Request);
    }
    assertEquals(pages, 1);
  },
  cloudflares.address,
);

bothTest(
  "A server without onrefuse warns once of each way in which handshakes are malformed",
  async (platform) => {
    const { warn } = console;
    const lines: string[] = [];
    console.warn = (...words): void => void lines.push(words.join(" "));
    try {
      await using server = await platform.serve(Peer, {
        onrefuse: undefined as never,
      });
      for (let time = 0; time < 3; time++) await knockAll(server);
    } finally {
      console.warn = warn;
    }
    const kinds = [/-Key/, /proxy/, /GET/];
    assertEquals(lines.length, kinds.length, lines.join("\n"));
    for (const [index, kind] of kinds.entries()) {
      assertMatch(lines[index]!, kind);
    }
  },
  cloudflares.address,
);
