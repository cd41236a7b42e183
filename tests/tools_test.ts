/**
 * A remote, its methods and a peer among the tools of others: Vitest's matchers and
 * snapshots, React, Vue, MobX. Those of Jest are in a file of their own, since both
 * would keep their matchers in the same global variable.
 */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from "@vitest/expect";
import { format } from "@vitest/pretty-format";
import { getSerializers } from "@vitest/snapshot";
import { stringify } from "@vue/devtools-kit";
import * as vue from "@vue/reactivity";
import { toDisplayString } from "@vue/shared";
import * as chai from "chai";
import * as mobx from "mobx";
import {
  createContext,
  createElement,
  isValidElement,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useState,
} from "react";
import { renderToString } from "react-dom/server";
import { typeOf } from "react-is";
import { type BasePeer, Peer } from "../mod.ts";
import { socketPair } from "../testing.ts";
import { eachPeer, small, whole } from "./faces.ts";
import { echo, pair } from "./stage.ts";
import { eachTool, refused } from "./tools.ts";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

/** Vitest's, as far as these tests use it. */
interface Matchers {
  readonly not: Matchers;
  toBe(expected: unknown): void;
  toBeTypeOf(type: string): void;
  toEqual(expected: unknown): void;
  toHaveBeenCalled(): void;
  toHaveLength(length: number): void;
  toHaveProperty(name: string): void;
  toMatchObject(expected: unknown): void;
  toStrictEqual(expected: unknown): void;
}

const expect = chai.expect as unknown as (value: unknown) => Matchers;

eachTool(
  "Vitest's matchers tell a remote from others",
  ({ remote, methods, all }) => {
    expect(remote).not.toEqual({});
    expect({ remote }).not.toEqual({ remote: {} });
    expect(remote).not.toStrictEqual({});
    expect(remote).not.toMatchObject({ a: 1 });
    expect(remote).toEqual(remote);
    for (const method of methods) {
      expect(method).toBeTypeOf("function");
      expect(method).not.toEqual({});
      expect(method).not.toEqual(() => {});
      expect(method).toStrictEqual(method);
    }
    for (const value of all) {
      for (const other of [{}, [], 1, "a", null, undefined, () => {}]) {
        expect(value).not.toEqual(other);
        expect(other).not.toEqual(value);
        refused(() => expect(value).toEqual(other));
        refused(() => expect(value).toBe(other));
      }
      refused(() => expect(value).toHaveBeenCalled());
      refused(() => expect(value).toHaveProperty("then"));
      refused(() => expect(value).toHaveLength(5));
      refused(() => chai.expect(value).to.deep.equal({ other: 1 }));
      chai.util.inspect(value);
    }
  },
);

eachTool(
  "A snapshot of Vitest's shows a remote",
  ({ remote, methods, all }) => {
    const plugins = getSerializers();
    assertEquals(format(remote, { plugins }), "Object {}");
    assertEquals(format(methods[1], { plugins }), "[Function math.add]");
    for (const value of all) {
      assertEquals(format(value, { plugins }), format(value, { plugins }));
    }
  },
);

eachTool(
  "Vue leaves a remote and a peer as they are",
  ({ peer, remote, methods, all }) => {
    for (const value of [peer, remote, ...methods]) {
      assertStrictEquals(vue.ref(value).value, value);
      const state = vue.reactive({ deep: { value } });
      assertStrictEquals(state.deep.value, value);
      assertStrictEquals(vue.readonly({ value }).value, value);
      assertEquals(vue.isReactive(state.deep.value), false);
    }
    for (const value of [...all, peer]) {
      const held = vue.shallowRef(value);
      const stop = vue.watch(vue.ref({ value }), () => {}, { deep: true });
      vue.effect(() => vue.isRef(held.value) || vue.isProxy(held.value));
      vue.toRaw(value);
      if (value !== peer) toDisplayString(value);
      stop();
    }
  },
);

eachTool("Vue's devtools write a remote", ({ all }) => {
  for (const value of all) assertEquals(typeof stringify({ value }), "string");
});

eachTool(
  "MobX leaves a remote and a peer as they are",
  ({ peer, remote, all }) => {
    for (const value of [peer, remote]) {
      const state = mobx.observable({ deep: { value } });
      assertStrictEquals(state.deep.value, value);
      assertEquals(mobx.isObservable(state.deep.value), false);
    }
    for (const value of all) {
      const state = mobx.observable({ value });
      const dispose = mobx.autorun(() => void state.value);
      mobx.comparer.structural(state.value, {});
      mobx.isAction(value);
      mobx.toJS(state);
      dispose();
    }
  },
);

eachTool(
  "React renders what is given a remote",
  ({ peer, remote, methods, all }) => {
    const Context = createContext<unknown>(peer);
    function Child({ value }: { value: unknown }): ReactNode {
      const [state] = useState(() => value);
      const memo = useMemo(() => ({ value }), [value]);
      useEffect(() => {}, [value]);
      assertStrictEquals(useContext(Context), value);
      return memo.value === state ? "shown" : "lost";
    }
    for (const value of [peer, ...all]) {
      const child = createElement(Child, { value });
      const html = renderToString(
        createElement(Context.Provider, { value }, child),
      );
      assertEquals(html, "shown");
      assertEquals([isValidElement(value), typeOf(value)], [false, undefined]);
    }
    for (const onClick of methods) {
      renderToString(createElement("button", { onClick }, "Save"));
    }
    for (const child of [remote, { deep: remote }]) {
      assertThrows(
        () => renderToString(createElement("p", null, child as never)),
        Error,
        "not valid as a React child",
      );
    }
  },
);

eachPeer("A peer in Vue's and MobX's state works", async (face) => {
  const [server, client] = pair(face, { local: { echo } });
  const state = vue.reactive({ peer: client, held: { peer: client } });
  const held = vue.ref(client);
  const store = mobx.observable({ peer: client });
  mobx.configure({ enforceActions: "never" });
  const peers: BasePeer[] = [
    state.peer as unknown as BasePeer,
    state.held.peer as unknown as BasePeer,
    held.value as unknown as BasePeer,
    vue.readonly(held).value as unknown as BasePeer,
    store.peer,
  ];
  for (const peer of peers) {
    assertEquals(await peer.remote["echo"]!(5), 5);
    assertEquals(await peer.request("echo", [6]), 6);
    assertEquals(peer.state, "open");
  }
  client.close();
  await server.closed;
});

Deno.test("A peer of a class in Vue's state is that peer", async () => {
  for (const { Peer } of [whole, small]) {
    class Page extends Peer {
      shown = 0;
      override local = { show: () => ++this.shown };
    }
    const [left, right] = socketPair();
    await using page = new Page(left);
    await using server = new Peer<Page["local"]>(right);
    const state = vue.reactive({ page });
    assertStrictEquals(state.page as unknown, page);
    assertEquals(await server.remote.show(), 1);
    assertEquals(`${page}`, "[object Peer]");
  }
  assertEquals(Peer.name, "Peer");
});
