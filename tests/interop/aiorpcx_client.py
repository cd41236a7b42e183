"""A client of aiorpcX: calls, is called back, and prints what came of it.

    /usr/bin/python3 aiorpcx_client.py 2.0 ws://127.0.0.1:8889
"""

import asyncio
import json
import sys

from aiorpcx import (
    JSONRPCConnection,
    JSONRPCv1,
    JSONRPCv2,
    RPCError,
    RPCSession,
    connect_ws,
    handler_invocation,
)

VERSION, URL = sys.argv[1:]
PROTOCOLS = {"1.0": JSONRPCv1, "2.0": JSONRPCv2}


class Session(RPCSession):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shown = asyncio.Queue()

    def default_connection(self):
        return JSONRPCConnection(PROTOCOLS[VERSION])

    async def handle_request(self, request):
        handlers = {"ask": self.ask, "show": self.shown.put, "no": self.no}
        return await handler_invocation(handlers.get(request.method), request)()

    async def ask(self, question):
        return f"fine ({question})"

    async def no(self):
        raise RPCError(8, "never")


def connect(url):
    client = connect_ws(url)
    # As an argument of connect_ws, aiorpcX 0.22 drops it.
    client.kwargs["session_factory"] = Session
    return client


async def error_of(call):
    try:
        return ["answer", await call]
    except RPCError as error:
        return [error.code, error.message]


async def main():
    said = {}
    async with connect(URL) as session:
        said["welcome"] = await session.shown.get()
        said["add"] = await session.send_request("add", [1, 2])
        said["nothing"] = await session.send_request("nothing")
        said["greet"] = await session.send_request("greet", ["ann"])
        said["provoke"] = await session.send_request("provoke", ["no"])
        said["provoke unknown"] = await session.send_request("provoke", ["what"])
        said["refuse"] = await error_of(session.send_request("refuse"))
        said["crash"] = await error_of(session.send_request("crash"))
        said["unknown"] = await error_of(session.send_request("what"))
        await session.send_notification("log", ["noted"])
        said["logged"] = await session.send_request("logged")
        many = [session.send_request("slow", [n]) for n in range(20)]
        said["many"] = await asyncio.gather(*many)
        if VERSION == "2.0":
            by_name = {"minuend": 42, "subtrahend": 23}
            said["by name"] = await session.send_request("subtract", by_name)
            async with session.send_batch() as batch:
                batch.add_request("add", [3, 4])
                batch.add_notification("log", ["in a batch"])
                batch.add_request("refuse")
                batch.add_request("slow", [5])
            sum_, refused, slow = batch.results
            said["batch"] = [sum_, refused.code, slow]
            async with session.send_batch() as batch:
                batch.add_request("add", [5, 6])
            said["batch of one"] = batch.results
            said["logged then"] = await session.send_request("logged")
    print(json.dumps(said))


asyncio.run(main())
