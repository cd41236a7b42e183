/**
 * Serves the files of an example's page: its own four, those that all pages share,
 * and the library as a browser reads it.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";

const root = new URL("../", import.meta.url);

/** The library's sources, each in its folder; no name has a second dot. */
const SOURCE = /^\/(src\/[a-z0-9_]{1,64}\/[a-z0-9_]{1,64}\.ts)$/;

const contentTypes: { readonly [extension: string]: string } = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
  ts: "text/javascript; charset=utf-8",
};

const headers = {
  "cache-control": "no-cache",
  // 'self' is the WebSocket at the page's own origin, too (CSP Level 3).
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * Makes a handler for all requests but a WebSocket's handshake.
 *
 * @param folder The folder of the page, from the top of the repository:
 * "examples/chat".
 * @throws {Deno.errors.NotCapable} The repository may not be read.
 */
export async function serveFiles(
  folder: string,
): Promise<(request: Request) => Promise<Response>> {
  // The files that a browser may read, by path; no others are read from the disk.
  const files = new Map([["/", `${folder}/index.html`]]);
  for (
    const path of [
      `${folder}/page.ts`,
      `${folder}/style.css`,
      `${folder}/icon.svg`,
      "examples/element.ts",
      "examples/status.ts",
      "examples/style.css",
      "client.ts",
      "mod.ts",
    ]
  ) files.set(`/${path}`, path);

  // One question now, not one for each file when the first browser comes.
  await Deno.permissions.request({ name: "read", path: root });
  await Deno.stat(new URL(`${folder}/index.html`, root));

  return async (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return refuse(405, "Method Not Allowed", { allow: "GET, HEAD" });
    }

    // The path is still percent-encoded: none of our names needs decoding.
    const { pathname } = new URL(request.url);
    const path = files.get(pathname) ?? SOURCE.exec(pathname)?.[1];
    if (path === undefined) return refuse(404, "Not Found");

    let text: string;
    try {
      text = await Deno.readTextFile(new URL(path, root));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return refuse(404, "Not Found");
    }

    const extension = path.slice(path.lastIndexOf(".") + 1);
    if (extension === "ts") text = stripTypeScriptTypes(text);
    const body = new TextEncoder().encode(text);
    return new Response(request.method === "HEAD" ? null : body, {
      headers: {
        ...headers,
        "content-length": String(body.length),
        "content-type": contentTypes[extension] ?? "application/octet-stream",
      },
    });
  };
}

function refuse(
  status: number,
  text: string,
  more?: Record<string, string>,
): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...headers, "content-type": "text/plain", ...more },
  });
}
