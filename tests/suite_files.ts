/**
 * The files of tests of what is the same on all servers; `Deno.test` must be there.
 *
 * @module
 */

await import("./admission_test.ts");
await import("./broadcast_test.ts");
await import("./drain_test.ts");
await import("./frame_test.ts");
await import("./heartbeat_test.ts");
await import("./hostile/accounts_test.ts");
await import("./hostile/connections_test.ts");
await import("./hostile/messages_test.ts");
await import("./length_test.ts");
await import("./misuse_test.ts");
await import("./opening_test.ts");
await import("./refusal_test.ts");
await import("./server_test.ts");
await import("./seconds/deaf_test.ts");
await import("./seconds/long_messages_test.ts");
await import("./ws_test.ts");
