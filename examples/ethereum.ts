// deno run --allow-net examples/ethereum.ts ws://127.0.0.1:8545
import { ethereum, subscribe } from "@jsonrpcws/peer";
import { connect } from "@jsonrpcws/peer/client";

/** The methods of an Ethereum node that are called here. */
interface Node {
  eth_chainId(): string;
}

/** The head of a block: the fields that are printed. */
interface Head {
  number: string;
  hash: string;
}

const [url = "ws://127.0.0.1:8545"] = Deno.args;
await using node = connect<Node>(url);
const heads = subscribe<Head>(node, ethereum, ["newHeads"]);
Deno.addSignalListener("SIGINT", () => heads.return()); // Ends the loop below.

console.log(`Chain ${Number(await node.remote.eth_chainId())} at ${url}`);
for await (const { number, hash } of heads) {
  console.log(`Block ${Number(number)} is ${hash}`);
}
