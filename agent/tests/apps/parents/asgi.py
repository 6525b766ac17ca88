"""An ASGI application: every way of `awaited.py`, and those that only such an application has. `GET /WAY/NAME`."""

import asyncio
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

import awaited
import blocking


@asynccontextmanager
async def lifespan(_app):
    await awaited.clients.open()
    yield
    await awaited.clients.close()


app = FastAPI(lifespan=lifespan)


def route(way):
    @app.get(f"/{way.__name__}/{{name}}", name=way.__name__)
    async def endpoint(name: str):
        await way(name)
        return name


for each in awaited.WAYS:
    route(each)


@app.get("/threaded/{name}")
def threaded(name: str):
    """A plain function, which the framework runs in its thread pool."""
    blocking.query(name)
    blocking.fetch(name)
    return name


@app.get("/background/{name}")
async def background(name: str, tasks: BackgroundTasks):
    """Work that the framework begins when the response is out."""
    tasks.add_task(awaited.afterwards, name)
    return name


@app.get("/background_threaded/{name}")
async def background_threaded(name: str, tasks: BackgroundTasks):
    tasks.add_task(blocking.query, name)
    return name


@app.get("/stream/{name}")
async def stream(name: str):
    """A call between two pieces of the body."""

    async def body():
        yield f"{name}\n"
        await awaited.query(name)
        yield f"{name}\n"

    return StreamingResponse(body())


class Handoff:
    """The response is sent by a task of its own, while the request's own task makes the call."""

    def __init__(self, name):
        self.name = name

    async def __call__(self, scope, receive, send):
        response = asyncio.create_task(PlainTextResponse(self.name)(scope, receive, send))
        await awaited.query(self.name)
        await response


async def handoff(scope, receive, send):
    await Handoff(scope["path"].rsplit("/", 1)[1])(scope, receive, send)


app.mount("/handoff", handoff)
