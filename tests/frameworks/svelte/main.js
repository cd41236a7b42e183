/** Shows the page, until a button is pressed. */

import { mount, unmount } from "svelte";
import App from "./App.svelte";

const url = new URLSearchParams(location.search).get("url");
const app = mount(App, {
  target: document.getElementById("root"),
  props: { url },
});

const toggle = document.createElement("button");
toggle.id = "toggle";
toggle.textContent = "Toggle";
toggle.onclick = () => unmount(app);
document.body.prepend(toggle);
