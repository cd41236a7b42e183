/**
 * A page in React, as docs/guide/react.md prints it.
 */

// @ts-types="@types/react"
import { useState } from "react";
import { connect } from "@jsonrpcws/peer/client";
import {
  useCall,
  useConnection,
  usePeer,
  useStream,
} from "@jsonrpcws/peer/react";
import type { service } from "../service.ts";

export function App({ url }: { url: string }) {
  const peer = usePeer(() => connect<typeof service>(url), [url]);
  const { state } = useConnection(peer);

  const [name, setName] = useState("ann");
  const greeting = useCall(
    peer,
    (peer, signal) => peer.with({ signal }).greet(name),
    [name],
  );
  const count = useStream(
    peer,
    (peer, last: number | undefined) => peer.remote.count(last ?? 0),
  );

  return (
    <main>
      <p id="status">{state}</p>
      <input id="name" onChange={(event) => setName(event.target.value)} />
      <p id="greeting">
        {greeting.isLoading ? "Asking" : greeting.value ?? "Refused"}
      </p>
      <p id="count">{count.value}</p>
    </main>
  );
}
