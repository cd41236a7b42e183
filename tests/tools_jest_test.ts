/**
 * A remote and its methods among Jest's matchers, and in its snapshots.
 */

import { assertEquals } from "@std/assert";
import { expect } from "expect";
import { format, plugins } from "pretty-format";
import { eachTool, refused } from "./tools.ts";

eachTool(
  "Jest's matchers tell a remote from others",
  ({ remote, methods, all }) => {
    expect(remote).not.toEqual({});
    expect({ remote }).not.toEqual({ remote: {} });
    expect(remote).not.toStrictEqual({});
    expect(remote).not.toMatchObject({ a: 1 });
    expect(remote).toEqual(remote);
    for (const method of methods) {
      expect(method).not.toEqual({});
      expect(method).not.toEqual(() => {});
      expect(method).toStrictEqual(method);
      expect(method).toEqual(expect.any(Function));
    }
    for (const value of all) {
      for (const other of [{}, [], 1, "a", null, undefined, () => {}]) {
        expect(value).not.toEqual(other);
        expect(other).not.toEqual(value);
        refused(() => expect(value).toEqual(other));
        refused(() => expect(value).toBe(other));
      }
      refused(() => expect(value).toHaveProperty("then"));
      refused(() => expect(value).toHaveLength(5));
      refused(() => expect(value).toBeInstanceOf(Error));
      refused(() => expect(value).toContain(5));
    }
  },
);

eachTool("A snapshot of Jest's shows a remote", ({ remote, methods, all }) => {
  const options = { plugins: Object.values(plugins) };
  assertEquals(format(remote, options), "Object {}");
  assertEquals(format(methods[1], options), "[Function math.add]");
  for (const value of all) {
    assertEquals(format(value, options), format(value, options));
  }
});
