import { connect, serve } from "@jsonrpcws/peer/node";
import { exercise, page } from "./exercise.js";
import { Shop } from "./service.js";

async function run(): Promise<string> {
  await using server = await serve(Shop, { port: 0, onListen() {} });
  await using client = connect<Shop["local"]>(server.url, { local: page });
  // @ts-expect-error: a port is a number.
  const wrong = (): unknown => serve(Shop, { port: "0" });
  // @ts-expect-error: it is null, not undefined.
  const found: string | undefined = await client.remote.find(2);
  if (found !== null as unknown) return `${found}`;
  return `${await exercise(client)}, ${typeof wrong}, ${server.peers.size}`;
}

console.log(await run());
