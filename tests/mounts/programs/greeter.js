// recipe: The service
import { Peer } from "@jsonrpcws/peer";

export class Greeter extends Peer {
  local = {
    hello: async (name) => `${name} is ${await this.remote.ask("How are you?")}`,
  };
}
// end
