/** Shows the page, mounted and unmounted by a button. */

import { createApp, h, ref } from "vue";
import App from "./App.vue";

const url = new URLSearchParams(location.search).get("url");
const isThere = ref(true);

createApp(() => [
  h("button", {
    id: "toggle",
    type: "button",
    onClick: () => isThere.value = !isThere.value,
  }, "Toggle"),
  isThere.value && h(App, { url }),
]).mount("#root");
