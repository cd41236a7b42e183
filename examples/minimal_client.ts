// deno run --allow-net examples/minimal_client.ts
import { connect } from "@jsonrpcws/peer/client";
import type { Greeter } from "./minimal_service.ts";

await using server = connect<Greeter["local"]>("ws://localhost:8889", {
  local: {
    ask(question: string) {
      console.log(question);
      return "fine";
    },
  },
});
console.log(await server.remote.hello("ann"));
