// deno run --allow-net examples/minimal_server.ts
import { serve } from "@jsonrpcws/peer/server";
import { Greeter } from "./minimal_service.ts";

serve(Greeter, { port: 8889 });
