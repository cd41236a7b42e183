/** Finds the elements that a page's script works on. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

/** The element with that id, checked to be of that kind. */
export function element<T extends Element>(id: string, Kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof Kind) return found;
  throw new TypeError(`Cannot find element "${id}" of kind ${Kind.name}`);
}
