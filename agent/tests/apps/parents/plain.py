"""HTTP/1.1 servers of nothing but the standard library, of any CPython since 3.9: `plain.py streams|threads PORT`.

Every call names its request: `GET /WAY/NAME`, and `GET /leaf/NAME/NUMBER`.
"""

import asyncio
import os
import sys
import threading
import urllib.request
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

LEAF = os.environ["LEAF_URL"]
# How long work goes on after a response: a client on the same connection has sent its next request by then.
AFTERWARDS = 0.02

# No proxy that the environment may name.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(name, number=0):
    """Blocks its thread."""
    with opener.open(f"{LEAF}/leaf/{name}/{number}") as answer:
        answer.read()


class Threads:
    """A thread for each connection."""

    @staticmethod
    def sync(name):
        fetch(name)

    @staticmethod
    def threads(name):
        calls = [threading.Thread(target=fetch, args=(name, number)) for number in range(3)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()

    @staticmethod
    def nested_threads(name, depth=3):
        if depth == 0:
            return fetch(name)
        thread = threading.Thread(target=Threads.nested_threads, args=(name, depth - 1))
        thread.start()
        thread.join()

    @staticmethod
    @lru_cache(None)
    def workers():
        return ThreadPoolExecutor(4)

    @staticmethod
    def pool(name):
        """Its threads are started by whoever came first."""
        Threads.workers().submit(fetch, name).result()

    @staticmethod
    @lru_cache(None)
    def jobs():
        queue = Queue()

        def work():
            while True:
                name, done = queue.get()
                fetch(name)
                done.set()

        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        return queue

    @staticmethod
    def queue(name):
        """The same with a queue of Python code."""
        done = threading.Event()
        Threads.jobs().put((name, done))
        done.wait()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        _, way, name = self.path.split("/")
        getattr(Threads, way)(name)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


# Kept by nobody in particular: a connection serves whichever request comes next.
connections = deque()
own_pool = ThreadPoolExecutor(8)
running = set()


async def call(name, number=0):
    try:
        reader, writer = connections.pop()
    except IndexError:
        host, port = LEAF.rsplit("/", 1)[1].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /leaf/{name}/{number} HTTP/1.1\r\nHost: leaf\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))
    connections.append((reader, writer))


async def afterwards(name):
    await asyncio.sleep(AFTERWARDS)
    await call(name)


def spawn(coroutine):
    """A task that nobody waits for."""
    task = asyncio.create_task(coroutine)
    running.add(task)
    task.add_done_callback(running.discard)


class Streams:
    """A task for each connection; what a way returns becomes a task when the response is out."""

    @staticmethod
    async def native(name):
        await call(name)

    @staticmethod
    async def gather(name):
        await asyncio.gather(*(call(name, number) for number in range(3)))

    @staticmethod
    async def nested(name, depth=3):
        if depth == 0:
            return await call(name)
        await asyncio.create_task(Streams.nested(name, depth - 1))

    @staticmethod
    async def asyncio_thread(name):
        await asyncio.to_thread(fetch, name)

    @staticmethod
    async def executor(name):
        await asyncio.get_running_loop().run_in_executor(None, fetch, name)

    @staticmethod
    async def own_executor(name):
        await asyncio.get_running_loop().run_in_executor(own_pool, fetch, name)

    @staticmethod
    async def late(name):
        spawn(afterwards(name))

    @staticmethod
    async def background(name):
        return afterwards(name)


async def serve(reader, writer):
    # Python 3.9 itself may forget a task that still serves.
    running.add(asyncio.current_task())
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            _, way, name = head.split(b" ")[1].decode().split("/")
            after = await getattr(Streams, way)(name)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            if after:
                spawn(after)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        running.discard(asyncio.current_task())
        writer.close()


async def stream(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "streams":
        asyncio.run(stream(port))
    else:
        Server(("127.0.0.1", port), Handler).serve_forever()
