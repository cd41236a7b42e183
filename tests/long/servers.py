"""Servers of Python: of aiorpcX, and of websockets without more.

    /usr/bin/python3 servers.py aiorpcx
"""

import asyncio
import json
import sys
import time

from aiorpcx import JSONRPCConnection, JSONRPCv2, RPCSession, serve_ws
from websockets import serve


class Session(RPCSession):
    # Its own 30 seconds are less than what a call takes.
    processing_timeout = 60.0

    def default_connection(self):
        return JSONRPCConnection(JSONRPCv2)

    async def handle_request(self, request):
        if request.method == "sum":
            return sum(request.args)
        if request.method == "slow":
            await asyncio.sleep(45)
            return "done"
        if request.method == "watch":
            asyncio.get_running_loop().call_later(60, self.tell)
            return None

    def tell(self):
        asyncio.ensure_future(self.send_notification("told", ["news"]))


def one_at_a_time(sleep):
    """Takes the next call when it is done with the last one."""

    async def handle(ws):
        async for text in ws:
            request = json.loads(text)
            if request["method"] == "sum":
                result = sum(request["params"])
            elif request["method"] == "slow":
                await sleep(45)
                result = "done"
            else:
                # It takes what it doesn't know for an enemy.
                return
            answer = {"jsonrpc": "2.0", "result": result, "id": request["id"]}
            await ws.send(json.dumps(answer))

    return handle


async def block(seconds):
    """Nothing else happens meanwhile, not even the answer to a ping."""
    time.sleep(seconds)


async def main(kind):
    if kind == "aiorpcx":
        serving = serve_ws(Session, "127.0.0.1", 0)
    elif kind == "asleep":
        serving = serve(one_at_a_time(asyncio.sleep), "127.0.0.1", 0)
    else:
        serving = serve(one_at_a_time(block), "127.0.0.1", 0)
    async with serving as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main(sys.argv[1]))
