/**
 * A client of Node's inspector, in Chrome's version of JSON-RPC: what a debugger
 * does. With the Node that npm has, and with this machine's if it has one.
 *
 * @see {@link https://nodejs.org/api/debugger.html}
 */

import { assertEquals, assertRejects } from "@std/assert";
import type { Protocol } from "devtools-protocol";
import { connect } from "../../client.ts";
import { CloseCode, notifications, RpcError } from "../../mod.ts";
import { node24 } from "./node_program.ts";
import { lookUp, type Program, start } from "./processes.ts";

const nodes = new Map([["Node 24", node24]]);
const installed = lookUp("node");
if (installed !== undefined) nodes.set("This machine's Node", installed);

for (const [name, node] of nodes) {
  Deno.test(`${name} stops at a breakpoint, shows a variable, and goes on to its end`, async () => {
    await using program = await inspect(
      node,
      "--inspect-brk",
      "const word = 'hello';\nconsole.log(word);\nprocess.exitCode = 3;",
    );
    const url = await address(program);

    // recipe: Node's inspector
    await using peer = connect(url, { version: "bare", reconnect: false });
    const pauses = notifications<Protocol.Debugger.PausedEvent>(
      peer,
      "Debugger.paused",
    );
    const printed = notifications<Protocol.Runtime.ConsoleAPICalledEvent>(
      peer,
      "Runtime.consoleAPICalled",
    );
    const ends = notifications(peer, "NodeRuntime.waitingForDisconnect");

    await peer.request("Runtime.enable");
    await peer.request("Debugger.enable");
    await peer.request("NodeRuntime.notifyWhenWaitingForDisconnect", {
      enabled: true,
    });
    await peer.request("Runtime.runIfWaitingForDebugger");
    await pauses.next(); // Before the first line.
    await peer.request("Debugger.stepOver");
    const { value: pause } = await pauses.next();
    const { result } = await peer.request<
      Protocol.Debugger.EvaluateOnCallFrameResponse
    >("Debugger.evaluateOnCallFrame", {
      callFrameId: pause!.callFrames[0]!.callFrameId,
      expression: "word.toUpperCase()",
    });
    await peer.request("Debugger.resume");
    const { value: line } = await printed.next();

    await ends.next(); // The program has ended, but for its debugger.
    peer.close();
    // end

    assertEquals(result, { type: "string", value: "HELLO" });
    assertEquals(line!.args, [{ type: "string", value: "hello" }]);
    assertEquals((await program.ended).code, 3);
  });

  Deno.test(`${name} answers what it can't do with errors, with and without data`, async () => {
    await using program = await inspect(node, "--inspect", idle);
    await using peer = connect(await address(program), {
      version: "bare",
      reconnect: false,
    });

    const unknown = await assertRejects(
      () => peer.request("Runtime.bake"),
      RpcError,
    );
    assertEquals(
      [unknown.code, unknown.message, unknown.data],
      [-32601, "'Runtime.bake' wasn't found", undefined],
    );
    const invalid = await assertRejects(
      () => peer.request("Runtime.evaluate", {}),
      RpcError,
    );
    assertEquals([invalid.code, typeof invalid.data], [-32602, "string"]);

    const { exceptionDetails } = await peer.request<
      Protocol.Runtime.EvaluateResponse
    >("Runtime.evaluate", { expression: "nothing()" });
    assertEquals(exceptionDetails?.exception?.className, "ReferenceError");

    const controller = new AbortController();
    const forEver = peer.request("Runtime.evaluate", {
      expression: "new Promise(() => {})",
      awaitPromise: true,
    }, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assertRejects(() => forEver, Error, "enough");
    // Nothing was sent of that: it would have been refused, and not by id.
    const { result } = await peer.request<Protocol.Runtime.EvaluateResponse>(
      "Runtime.evaluate",
      { expression: "6 * 7" },
    );
    assertEquals(result.value, 42);
  });

  Deno.test(`${name} refuses JSON-RPC 2.0, and may not say which call`, async () => {
    await using program = await inspect(node, "--inspect", idle);
    await using peer = connect(await address(program));
    const call = peer.request(
      "Runtime.evaluate",
      { expression: "1" },
      { timeout: 500 },
    );
    const error = await assertRejects(() => call, Error);
    // Node 20 answers without an id. Node 24 with one that it found somewhere in
    // its memory, so that nobody but the clock ends the call.
    const refused = error instanceof RpcError;
    assertEquals(refused || error.name === "TimeoutError", true, `${error}`);
    assertEquals(peer.unmatched, refused ? 0 : 1);
  });

  Deno.test(`${name} that is killed ends the connection`, async () => {
    const program = await inspect(node, "--inspect", idle);
    await using peer = connect(await address(program), {
      version: "bare",
      reconnect: false,
    });
    await peer.request("Runtime.enable");
    await program.stop();
    assertEquals((await peer.closed).code, CloseCode.Abnormal);
  });
}

const idle = "setInterval(() => {}, 1000)";

/** Starts Node with its inspector on a free port. */
function inspect(node: string, option: string, code: string): Promise<Program> {
  return start(node, { args: [`${option}=127.0.0.1:0`, "-e", code] });
}

/** The address that it prints, with a secret in it. */
async function address(program: Program): Promise<string> {
  const line = "Debugger listening on ";
  return (await program.line(line)).slice(line.length);
}
