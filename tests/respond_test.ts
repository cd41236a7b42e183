import { assertEquals } from "@std/assert";
import { type BasePeer, RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, result, settle } from "./scripted_socket.ts";
import { open } from "./stage.ts";

eachPeer(
  "respond of a peer answers before the method returns",
  async (face) => {
    const gate = Promise.withResolvers<string>();
    await using it = await open(face, {
      local: {
        early(this: BasePeer, isOk: boolean) {
          const { id } = this.call;
          this.respond(id!, "early", isOk ? undefined : new RpcError(5, "no"));
          return gate.promise;
        },
      },
    });
    assertEquals(await it.ask(request(1, "early", [true])), [
      result(1, "early"),
    ]);
    assertEquals(await it.ask(request(1, "early", [false])), [
      failure(1, 5, "no"),
    ]);
    assertEquals(it.peer.respond(1, "again"), false);
    gate.resolve("late");
    await settle();
    assertEquals(it.socket.sent, []);
  },
);
