"""A client of aiorpcX.

    /usr/bin/python3 aiorpcx_client.py silent ws://127.0.0.1:8889
"""

import asyncio
import sys

from aiorpcx import JSONRPCConnection, JSONRPCv2, RPCSession, connect_ws

TASK, URL = sys.argv[1:]


class Session(RPCSession):
    # Its own 30 seconds are less than what the call takes.
    sent_request_timeout = 60.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = asyncio.Event()

    def default_connection(self):
        return JSONRPCConnection(JSONRPCv2)

    async def handle_request(self, request):
        assert request.method == "told", request
        self.told.set()


async def main():
    client = connect_ws(URL)
    # As an argument of connect_ws, aiorpcX 0.22 drops it.
    client.kwargs["session_factory"] = Session
    async with client as session:
        assert await session.send_request("sum", [1, 2]) == 3
        print("ready", flush=True)
        if TASK == "silent":
            await asyncio.sleep(60)
            assert await session.send_request("sum", [1, 2]) == 3
        elif TASK == "slow":
            assert await session.send_request("slow") == "done"
        else:
            await session.told.wait()
        print("done", flush=True)
        await asyncio.sleep(60)


asyncio.run(main())
