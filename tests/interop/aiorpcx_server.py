"""A server of aiorpcX: a session calls its client back while it is called.

    /usr/bin/python3 aiorpcx_server.py 2.0
"""

import asyncio
import sys

from aiorpcx import (
    JSONRPCAutoDetect,
    JSONRPCConnection,
    JSONRPCv1,
    JSONRPCv2,
    RPCError,
    RPCSession,
    handler_invocation,
    serve_ws,
)

PROTOCOLS = {"1.0": JSONRPCv1, "2.0": JSONRPCv2, "auto": JSONRPCAutoDetect}


class Session(RPCSession):
    lines = []

    def default_connection(self):
        return JSONRPCConnection(PROTOCOLS[sys.argv[1]])

    async def handle_request(self, request):
        handler = getattr(self, "on_" + request.method, None)
        return await handler_invocation(handler, request)()

    async def on_subtract(self, minuend, subtrahend):
        return minuend - subtrahend

    async def on_nothing(self):
        return None

    async def on_log(self, line):
        self.lines.append(line)

    async def on_logged(self):
        return self.lines

    async def on_refuse(self):
        raise RPCError(7, "not today")

    async def on_crash(self):
        raise ValueError("nobody's business")

    async def on_wait(self):
        await asyncio.Future()

    async def on_greet(self, name):
        mood = await self.send_request("ask", [f"How are you, {name}?"])
        return f"Glad you are {mood}"

    async def on_provoke(self, method):
        """What the client answers to a request, if that is an error."""
        try:
            return ["answer", await self.send_request(method, [])]
        except RPCError as error:
            return [error.code, error.message]

    async def on_announce(self, text):
        await self.send_notification("show", [text])

    async def on_gather(self, count):
        """Calls the client by a batch with a notification in it."""
        async with self.send_batch() as batch:
            for number in range(count):
                batch.add_request("double", [number])
            batch.add_notification("show", ["gathered"])
            batch.add_request("missing")
        *doubles, missing = batch.results
        return [doubles, missing.code]


async def main():
    async with serve_ws(Session, "127.0.0.1", 0) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
