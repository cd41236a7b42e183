/** The hooks of React on a server. */

import { assert } from "@std/assert";
// @ts-types="@types/react-dom/server"
import { renderToString } from "react-dom/server";
import { App } from "./app.tsx";

Deno.test("A component on a server connects to nobody, and shows that it connects", () => {
  // An attempt would be told, and its socket a leak.
  const html = renderToString(<App url="ws://127.0.0.1:1" />);
  assert(html.includes('<p id="status">connecting</p>'), html);
  assert(html.includes('<p id="greeting">Asking</p>'), html);
  assert(html.includes('<p id="count"></p>'), html);
});
