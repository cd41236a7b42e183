/** The page's side of the ticker: reads a stream of prices, and draws them. */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { connect } from "../../client.ts";
import { ConnectionClosedError, resume } from "../../mod.ts";
import { element } from "../element.ts";
import { reconnect, showConnection } from "../status.ts";
import type { Ticker } from "./ticker.ts";

const symbolPicker = element("symbols", HTMLFieldSetElement);
const pacePicker = element("paces", HTMLFieldSetElement);
const priceShown = element("price", HTMLOutputElement);
const change = element("change", HTMLElement);
const line = element("line", SVGPathElement);
const area = element("area", SVGPathElement);
const levels = element("levels", SVGPathElement);
const high = element("high", HTMLElement);
const low = element("low", HTMLElement);
const pause = element("pause", HTMLButtonElement);
const madeShown = element("made", HTMLElement);
const readShown = element("read", HTMLElement);
const aheadShown = element("ahead", HTMLElement);
const none = element("none", HTMLElement);
const endedList = element("ended", HTMLOListElement);

// ------------------------------------------------------------ The connection

const address = new URL(location.pathname, location.origin);

let server = open();

/** The stream that is being read. */
let current: Stream | undefined;

/** Settles at the end of the pause; undefined: there is none. */
let paused: PromiseWithResolvers<void> | undefined;

function open() {
  const peer = connect<Ticker["local"]>(address, {
    local: {
      made(symbol: string, count: number) {
        if (symbol !== current?.symbol) return;
        current.made = current.resumed + count;
        show();
      },
      ended: showEnd,
    },
    onopen() {
      setPace(); // Each connection has its own.
    },
    onattempt() {}, // The header shows it.
  });
  showConnection(peer);
  return peer;
}

/** Asks for the symbols, and begins with the picked one, or else the first. */
async function start(): Promise<void> {
  try {
    const patient = server.with({ idempotent: true, timeout: Infinity });
    const symbols = await patient.symbols();
    if (picked(symbolPicker) === undefined) offer(symbols);
  } catch (error) {
    return ignoreEnd(error);
  }
  await watch(picked(symbolPicker)!);
}

/** Ignores the end of the connection, since onclose has told it. */
function ignoreEnd(error: unknown): void {
  if (!(error instanceof ConnectionClosedError)) throw error;
}

reconnect.addEventListener("click", () => {
  // The button goes, and would take the focus with it.
  symbolPicker.querySelector<HTMLInputElement>(":checked")?.focus();
  server = open();
  start();
});

// ---------------------------------------------------------------- The stream

/** A stream, as the page knows it. */
interface Stream {
  readonly symbol: string;
  /** The prices that the chart shows, the newest last. */
  prices: number[];
  /** The number of prices that the server made, and of those that were read. */
  made: number;
  read: number;
  /** The number of prices read when the last connection began. */
  resumed: number;
}

/** The number of prices that the chart has room for. */
const ROOM = 240;

/**
 * Reads the prices of a symbol until another one is picked, over as many
 * connections as that takes.
 */
async function watch(symbol: string): Promise<void> {
  const stream: Stream = { symbol, prices: [], made: 0, read: 0, resumed: 0 };
  current = stream;
  goOn();
  pause.disabled = false;
  const prices = resume<number>(server, (last) => {
    stream.resumed = stream.read;
    return server.remote.prices(symbol, last);
  });
  try {
    for await (const price of prices) {
      if (stream !== current) break;
      stream.prices = [...stream.prices.slice(1 - ROOM), price];
      stream.read++;
      show();
      // The server sends no price before the page asks for it.
      await paused?.promise;
    }
  } catch (error) {
    ignoreEnd(error);
  }
}

function goOn(): void {
  paused?.resolve();
  paused = undefined;
  pause.textContent = "Pause";
}

pause.addEventListener("click", () => {
  if (paused) return goOn();
  paused = Promise.withResolvers<void>();
  pause.textContent = "Resume";
});

// --------------------------------------------------------------- The pickers

function picked(picker: HTMLFieldSetElement): string | undefined {
  return picker.querySelector<HTMLInputElement>(":checked")?.value;
}

function offer(symbols: string[]): void {
  for (const symbol of symbols) {
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "symbol";
    input.value = symbol;
    input.checked = symbol === symbols[0];
    const label = document.createElement("label");
    label.append(input, symbol);
    symbolPicker.append(label);
  }
}

function setPace(): void {
  server.notify("pace", [Number(picked(pacePicker))]);
}

symbolPicker.addEventListener("change", () => watch(picked(symbolPicker)!));
pacePicker.addEventListener("change", setPace);

// --------------------------------------------------------------- The drawing

const money = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const percent = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 2,
  signDisplay: "always",
});

let isDrawing = false;

/** Draws once for each frame of the screen, at any speed of the prices. */
function show(): void {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (current) draw(current);
  });
}

function draw({ prices, made, read }: Stream): void {
  madeShown.textContent = String(made);
  readShown.textContent = String(read);
  aheadShown.textContent = String(Math.max(0, made - read));

  const [first = 0] = prices;
  const last = prices.at(-1) ?? 0;
  const highest = Math.max(...prices);
  const lowest = Math.min(...prices);
  priceShown.textContent = prices.length > 0 ? money.format(last) : "–";
  change.textContent = first > 0 ? percent.format(last / first - 1) : "";
  change.dataset.way = last > first ? "up" : last < first ? "down" : "";

  // A flat line is in the middle, and has no height to divide by.
  const isFlat = highest === lowest;
  const heightOf = (price: number) =>
    isFlat ? 50 : 92 - 84 * (price - lowest) / (highest - lowest);
  const points = prices.map((price, index) =>
    `${index} ${heightOf(price).toFixed(2)}`
  );
  const marks = prices.length === 0 ? [] : isFlat ? [last] : [highest, lowest];
  for (const [index, label] of [high, low].entries()) {
    const price = marks[index];
    label.textContent = price === undefined ? "" : money.format(price);
    // The label stands at the height of its price.
    if (price !== undefined) label.style.top = `${heightOf(price)}%`;
  }
  levels.setAttribute(
    "d",
    marks.map((price) => `M0 ${heightOf(price)}H${ROOM}`).join(""),
  );
  const path = points.length > 0 ? `M${points.join("L")}` : "";
  line.setAttribute("d", path);
  area.setAttribute("d", path && `${path}V100H0Z`);
}

function showEnd(symbol: string, count: number): void {
  none.hidden = true;
  const row = document.createElement("li");
  row.textContent = `${symbol} after ${count} prices`;
  endedList.prepend(row);
  while (endedList.childElementCount > 5) endedList.lastElementChild?.remove();
}

start();
