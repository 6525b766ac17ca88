"""Calls of coroutines, each of which names its request, and the ways in which a request can come to make them."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import anyio.to_thread
import asyncpg
import httpx

import blocking

LEAF = os.environ["LEAF_URL"]
# How long work goes on after a response: at any load, a client on the same connection has sent its next request by then.
AFTERWARDS = 0.02

own_pool = ThreadPoolExecutor(8)
running = set()


class Clients:
    """What all requests share."""

    database: asyncpg.Pool
    httpx: httpx.AsyncClient
    aiohttp: aiohttp.ClientSession

    async def open(self):
        # Every statement is a new one here, which a cache would only have to forget again.
        self.database = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=1, max_size=16, statement_cache_size=0
        )
        self.httpx = httpx.AsyncClient(timeout=30)
        self.aiohttp = aiohttp.ClientSession()

    async def close(self):
        await self.httpx.aclose()
        await self.aiohttp.close()
        await self.database.close()


clients = Clients()


async def query(name):
    await clients.database.fetchval(f"SELECT 1 AS r_{name}")


async def fetch(name, number=0):
    (await clients.httpx.get(f"{LEAF}/leaf/{name}/{number}")).raise_for_status()


async def fetch_aiohttp(name, number=0):
    async with clients.aiohttp.get(f"{LEAF}/leaf/{name}/{number}") as answer:
        await answer.read()
        answer.raise_for_status()


def spawn(coroutine):
    """A task that nobody waits for."""
    task = asyncio.create_task(coroutine)
    running.add(task)
    task.add_done_callback(running.discard)


async def afterwards(name):
    await asyncio.sleep(AFTERWARDS)
    await query(name)


async def native(name):
    await query(name)


async def sequence(name):
    await fetch(name)
    await query(name)


async def gather(name):
    await asyncio.gather(*(fetch(name, number) for number in range(3)))


async def gather_aiohttp(name):
    await asyncio.gather(*(fetch_aiohttp(name, number) for number in range(3)))


async def nested(name, depth=3):
    if depth == 0:
        return await query(name)
    await asyncio.create_task(nested(name, depth - 1))


async def group(name):
    if not hasattr(asyncio, "TaskGroup"):
        # Before Python 3.11.
        return await asyncio.gather(query(name), fetch(name))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(query(name))
        tasks.create_task(fetch(name))


async def anyio_thread(name):
    await anyio.to_thread.run_sync(blocking.query, name)


async def asyncio_thread(name):
    await asyncio.to_thread(blocking.query, name)


async def executor(name):
    await asyncio.get_running_loop().run_in_executor(None, blocking.query, name)


async def own_executor(name):
    await asyncio.get_running_loop().run_in_executor(own_pool, blocking.fetch, name)


async def late(name):
    """The response does not wait for the task, which goes on while the connection is at its next request."""
    spawn(afterwards(name))


WAYS = [
    native,
    sequence,
    gather,
    gather_aiohttp,
    nested,
    group,
    anyio_thread,
    asyncio_thread,
    executor,
    own_executor,
    late,
]
