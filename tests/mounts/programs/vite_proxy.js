// recipe: Vite's proxy
import { defineConfig } from "vite";

export default defineConfig({
  server: { proxy: { "/rpc": { target: "ws://localhost:8000", ws: true } } },
});
// end
