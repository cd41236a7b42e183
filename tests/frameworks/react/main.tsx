/**
 * Shows the page, mounted and unmounted by a button, under StrictMode.
 */

/// <reference lib="dom" />

// @ts-types="@types/react"
import { StrictMode, useState } from "react";
// @ts-types="@types/react-dom/client"
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";

const url = new URLSearchParams(location.search).get("url")!;

function Page() {
  const [isThere, setThere] = useState(true);
  return (
    <>
      <button id="toggle" type="button" onClick={() => setThere(!isThere)}>
        Toggle
      </button>
      {isThere && <App url={url} />}
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
