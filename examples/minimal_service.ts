import { Peer } from "@jsonrpcws/peer";

export class Greeter extends Peer<{ ask(question: string): string }> {
  visits = 0; // Each connection has its own instance.
  override local = { // The methods that the other side may call.
    hello: async (name: string) => {
      const mood = await this.remote.ask(`How are you, ${name}?`);
      return `Visit ${++this.visits}: glad you are ${mood}`;
    },
  };
}
