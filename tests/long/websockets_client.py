"""The package websockets of Python, as who has no JSON-RPC library uses it.

    /usr/bin/python3 websockets_client.py silent ws://127.0.0.1:8889
"""

import asyncio
import json
import sys

from websockets import connect

TASK, URL = sys.argv[1:]


async def main():
    async with connect(URL) as ws:
        last = 0

        async def call(method, *params):
            nonlocal last
            last += 1
            request = {"method": method, "params": params, "id": last}
            await ws.send(json.dumps({"jsonrpc": "2.0", **request}))
            response = json.loads(await ws.recv())
            assert response["id"] == last, response
            return response["result"]

        assert await call("sum", 1, 2) == 3
        print("ready", flush=True)
        if TASK == "silent":
            await asyncio.sleep(60)
            assert await call("sum", 1, 2) == 3
        elif TASK == "slow":
            assert await call("slow") == "done"
        else:
            assert json.loads(await ws.recv())["params"] == ["news"]
        print("done", flush=True)
        await asyncio.sleep(60)


asyncio.run(main())
