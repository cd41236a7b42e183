"""The package websockets of Python, without any JSON-RPC library beside it.

    /usr/bin/python3 websockets_client.py call ws://127.0.0.1:8889
"""

import asyncio
import json
import sys

from websockets import ConnectionClosed, connect


async def call(url):
    # recipe: websockets
    async with connect(url) as ws:  # "ws://localhost:8889"
        request = {"method": "hello", "params": ["ann"], "id": 1}
        await ws.send(json.dumps({"jsonrpc": "2.0", **request}))
        async for frame in ws:
            message = json.loads(frame)
            if "method" not in message:
                break  # The response; there was one request.
            if "id" in message:  # The server calls, too, and waits.
                answer = {"result": "fine", "id": message["id"]}
                await ws.send(json.dumps({"jsonrpc": "2.0", **answer}))
            else:
                print("told:", message["method"], *message["params"])
        print("answer:", message.get("error") or message["result"])
    # end


async def say(url):
    """Sends what is asked of it, line by line, and prints what it gets."""

    async def read(ws):
        try:
            while True:
                frame = await ws.recv()
                print(type(frame).__name__, frame, flush=True)
        except ConnectionClosed:
            print("closed", ws.close_code, ws.close_reason, flush=True)

    async with connect(url) as ws:
        reading = asyncio.create_task(read(ws))
        print("open", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            how, text = line.rstrip("\n").split(" ", 1)
            if how == "text":
                await ws.send(text)
            elif how == "binary":
                await ws.send(text.encode())
            elif how == "fragments":  # A frame for every character.
                await ws.send(iter(text))
            elif how == "ping":
                await (await ws.ping(text))
                print("pong", text, flush=True)
            elif how == "close":
                await ws.close(int(text), "bye")
        await reading


async def large(url):
    """Receives and sends as much as both take: a mebibyte."""
    async with connect(url) as ws:
        head = '{"jsonrpc":"2.0","method":"length","id":1,"params":["'
        text = "x" * (2**20 - len(head) - 3)
        await ws.send(f'{head}{text}"]}}')
        print("length", json.loads(await ws.recv())["result"] == len(text))
        count = 2**20 - len('{"jsonrpc":"2.0","result":"","id":1}')
        request = {"method": "text", "params": [count], "id": 2}
        await ws.send(json.dumps({"jsonrpc": "2.0", **request}))
        print("text", len(json.loads(await ws.recv())["result"]) == count)
        request = {"method": "text", "params": [count + 1], "id": 3}
        await ws.send(json.dumps({"jsonrpc": "2.0", **request}))
        print("more", json.loads(await ws.recv())["error"]["code"])


_, task, url = sys.argv
tasks = {"call": call, "say": say, "large": large}
asyncio.run(tasks[task](url))
