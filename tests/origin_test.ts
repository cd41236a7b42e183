import { assertEquals, assertThrows } from "@std/assert";
import {
  admitsHost,
  admitsOrigin,
  checkHosts,
  checkOrigins,
  type Hosts,
  isLoopback,
  type Origins,
  type RequestHead,
} from "../src/server/origin.ts";

interface Asked {
  /** The headers `Origin`; several are sent one after the other. */
  origin?: string | readonly string[];
  host?: string | readonly string[];
  url?: string;
}

function request(
  { origin = [], host = "example.com", url }: Asked,
): RequestHead {
  const headers = new Headers();
  for (const value of [origin].flat()) headers.append("origin", value);
  for (const value of [host].flat()) headers.append("host", value);
  const request = new Request(url ?? "http://example.com/rpc", { headers });
  return {
    get: (name) => headers.get(name),
    isSecure: request.url.startsWith("https:"),
    request,
  };
}

Deno.test("admitsOrigin lets a page connect to where it comes from, and no other", () => {
  const secure = "https://example.com/rpc";
  const rows: [isAdmitted: boolean, Asked][] = [
    [true, {}],
    [true, { host: [] }],
    [true, { origin: "http://example.com" }],
    [true, { origin: "http://example.com", host: "EXAMPLE.com" }],
    [true, { origin: "http://example.com", host: "example.com:80" }],
    [true, { origin: "http://example.com:8080", host: "example.com:8080" }],
    [true, { origin: "http://[::1]:8888", host: "[::1]:8888" }],
    [true, { origin: "https://example.com", url: secure }],
    [true, {
      origin: "https://example.com",
      host: "example.com:443",
      url: secure,
    }],
    // A proxy ended TLS.
    [true, { origin: "https://example.com" }],
    [true, { origin: "https://example.com", host: "example.com:443" }],
    // A page that anybody on the way could have changed.
    [false, { origin: "http://example.com", url: secure }],
    [false, { origin: "http://example.com:80", host: "example.com" }],
    [false, { origin: "http://example.com:8080" }],
    [false, { origin: "http://example.com", host: "example.com:8080" }],
    [false, { origin: "http://example.com", host: "example.com:443" }],
    [false, { origin: "https://example.com", host: "example.com:80" }],
    [false, { origin: "null" }],
    [false, { origin: "" }],
    [false, { origin: "https://example.com.evil.net" }],
    [false, { origin: "https://evilexample.com" }],
    [false, { origin: "https://evil.net" }],
    [false, { origin: "https://www.example.com" }],
    [false, { origin: "https://example.com@evil.net" }],
    [false, { origin: "https://evil.net@example.com" }],
    [true, { origin: "https://example.com/" }],
    [false, { origin: "https://example.com//" }],
    [false, { origin: "https://example.com/rpc" }],
    [false, { origin: "https://example.com?" }],
    [false, { origin: "https://example.com#" }],
    [false, { origin: "https:\\\\example.com" }],
    [false, { origin: "HTTPS://example.com" }],
    [false, { origin: "https://EXAMPLE.com" }],
    [false, { origin: "example.com" }],
    [false, { origin: "ws://example.com" }],
    [false, { origin: "ftp://example.com" }],
    [false, { origin: "chrome-extension://example.com" }],
    [false, { origin: "file://" }],
    [false, { origin: "https://*" }],
    [false, { origin: ["https://example.com", "https://evil.net"] }],
    [false, { origin: ["https://evil.net", "https://example.com"] }],
    [false, { origin: ["https://example.com", "https://example.com"] }],
    [false, { origin: "https://example.com", host: [] }],
    [false, { origin: "https://example.com", host: "" }],
    [false, { origin: "https://example.com", host: "evil@example.com" }],
    [false, { origin: "https://example.com", host: "example.com/" }],
    [false, {
      origin: "https://example.com",
      host: ["example.com", "evil.net"],
    }],
  ];
  for (const [isAdmitted, asked] of rows) {
    assertEquals(
      admitsOrigin(request(asked), undefined),
      isAdmitted,
      JSON.stringify(asked),
    );
  }
});

Deno.test("admitsOrigin compares with a list whole", () => {
  const list = [
    "https://example.com",
    "http://localhost:8888",
    "chrome-extension://abcdef",
    "https://slash.example.com/",
  ];
  checkOrigins(list);
  const rows: [isAdmitted: boolean, origin: string | string[]][] = [
    [true, []],
    [true, "https://example.com"],
    [true, "http://localhost:8888"],
    [true, "chrome-extension://abcdef"],
    [true, "https://example.com/"],
    [false, "https://example.com//"],
    [false, "https://example.com/a"],
    [false, ["https://evil.net/", "https://example.com/"]],
    [true, "https://slash.example.com"],
    [true, "https://slash.example.com/"],
    [false, "https://host.of.the.server"],
    [false, "http://example.com"],
    [false, "https://example.com:8443"],
    [false, "https://example.com.evil.net"],
    [false, "https://evilexample.com"],
    [false, "https://sub.example.com"],
    [false, "https://Example.com"],
    [false, "http://localhost"],
    [false, "null"],
    [false, ["https://example.com", "https://example.com"]],
  ];
  for (const [isAdmitted, origin] of rows) {
    const asked = request({ origin, host: "host.of.the.server" });
    assertEquals(admitsOrigin(asked, list), isAdmitted, String(origin));
  }
  assertEquals(
    admitsOrigin(request({ origin: "https://example.com" }), []),
    false,
  );
});

Deno.test("admitsOrigin asks a function about one origin, never about two", async () => {
  const asked: string[] = [];
  const origins: Origins = (origin, { url }) => {
    asked.push(`${origin} ${new URL(url).pathname}`);
    return origin.endsWith(".example.com");
  };
  const ask = (origin: string | string[]) =>
    admitsOrigin(request({ origin }), origins);
  assertEquals(ask("https://a.example.com"), true);
  assertEquals(ask("https://a.example.net"), false);
  assertEquals(ask("https://b.example.com/"), true);
  assertEquals(ask("null"), false);
  assertEquals(ask(["https://evil.net", "https://a.example.com"]), false);
  assertEquals(ask("https://evil.net/.example.com"), false);
  assertEquals(ask([]), true);
  assertEquals(asked, [
    "https://a.example.com /rpc",
    "https://a.example.net /rpc",
    "https://b.example.com /rpc",
    "null /rpc",
  ]);
  const later: Origins = (origin) => Promise.resolve(origin === "null");
  assertEquals(await admitsOrigin(request({ origin: "null" }), later), true);
});

Deno.test("admitsOrigin with * lets everything connect", () => {
  for (const origin of ["null", "https://evil.net", "garbage"]) {
    assertEquals(admitsOrigin(request({ origin }), "*"), true);
  }
});

Deno.test("checkOrigins and checkHosts refuse what could never match", () => {
  for (
    const origin of [
      "https://example.com//",
      "https://example.com/a",
      "https://Example.com",
      "https://example.com:443",
      "example.com",
      "null",
      "",
    ]
  ) {
    const check = () => checkOrigins([origin]);
    assertThrows(check, TypeError, `Cannot allow origin "${origin}": write it`);
  }
  for (const origin of ["*.example.com", "*"]) {
    assertThrows(
      () => checkOrigins([origin]),
      TypeError,
      `Cannot allow origin "${origin}": a list has whole origins`,
    );
  }
  checkOrigins("*");
  checkOrigins(undefined);
  checkOrigins(() => true);
  for (const host of ["example.com:80", "http://example.com", "", "[::1]:80"]) {
    const check = () => checkHosts([host]);
    assertThrows(check, TypeError, `Cannot go by host "${host}": write a name`);
  }
  checkHosts(["example.com", "::1", "[::1]", "127.0.0.1"]);
  checkHosts("*");
});

Deno.test("admitsHost on a loopback address wants a name that always means it", () => {
  const rows: [isAdmitted: boolean, host: string | string[]][] = [
    [true, "localhost"],
    [true, "localhost:8888"],
    [true, "LOCALHOST:8888"],
    [true, "app.localhost:8888"],
    [true, "127.0.0.1:8888"],
    [true, "127.1.2.3"],
    [true, "[::1]:8888"],
    [true, "[::ffff:127.0.0.1]:8888"],
    [false, "evil.net"],
    [false, "evil.net:8888"],
    [false, "127.0.0.1.evil.net"],
    [false, "localhost.evil.net"],
    [false, "evillocalhost"],
    [false, "127.evil.net"],
    [false, "0.0.0.0:8888"],
    [false, "192.168.0.1"],
    [false, "[::2]"],
    [false, "localhost@evil.net"],
    [false, "evil.net@localhost"],
    [false, ["localhost", "evil.net"]],
    [false, ""],
    [false, []],
  ];
  for (const [isAdmitted, host] of rows) {
    assertEquals(
      admitsHost(request({ host }), "loopback"),
      isAdmitted,
      String(host),
    );
  }
});

Deno.test("admitsHost with any name wants one, or none", () => {
  const rows: [isAdmitted: boolean, host: string | string[]][] = [
    [true, "localhost:8888"],
    [true, "evil.net"],
    [true, "[::2]"],
    [true, []],
    [false, ""],
    [false, "evil.net@localhost"],
    [false, "evil.net/admin?"],
    [false, ["localhost", "evil.net"]],
  ];
  for (const [isAdmitted, host] of rows) {
    assertEquals(
      admitsHost(request({ host }), "*"),
      isAdmitted,
      String(host),
    );
  }
});

Deno.test("admitsHost with a list wants one of its names, whatever the port", () => {
  const hosts: Hosts = ["example.com", "::1"];
  const rows: [isAdmitted: boolean, host: string][] = [
    [true, "example.com"],
    [true, "Example.com:8443"],
    [true, "[::1]:80"],
    [false, "www.example.com"],
    [false, "example.com.evil.net"],
    [false, "localhost"],
  ];
  for (const [isAdmitted, host] of rows) {
    assertEquals(admitsHost(request({ host }), hosts), isAdmitted, host);
  }
});

Deno.test("isLoopback knows the addresses that a server listens on", () => {
  for (const address of ["127.0.0.1", "127.0.0.53", "::1", "localhost"]) {
    assertEquals(isLoopback(address), true, address);
  }
  for (const address of ["0.0.0.0", "::", "10.0.0.1", "example.com", ""]) {
    assertEquals(isLoopback(address), false, address);
  }
});
