import { connect } from "@jsonrpcws/peer/client";
import { useEffect, useState } from "react";
import { exercise, page } from "./exercise.js";
import type { Shop } from "./service.js";

export default function App() {
  const [text, setText] = useState("connecting");
  useEffect(() => {
    const url = `ws://${location.host}`;
    const client = connect<Shop["local"]>(url, { local: page });
    exercise(client).then(setText, (error) => setText(`${error}`));
    return () => client.close();
  }, []);
  return <p id="text">{text}</p>;
}
