"""A small FastAPI application with asynchronous and synchronous endpoints."""

import asyncio
import os

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.api_route("/items/{name}", methods=["GET", "HEAD", "POST"])
async def item(name: str, request: Request):
    """Echo the item; bodies are read, so uploads count too."""
    return {"item": name, "received": len(await request.body())}


@app.get("/status/{code}/{name}")
def status(code: int, name: str):
    """Answer with the status that was asked for, from the thread pool."""
    return Response(f"{name}\n", status_code=code)


@app.get("/pid/{name}")
async def pid(name: str):
    """Which worker answers."""
    return {"item": name, "pid": os.getpid()}


@app.get("/stream/{pieces}/{name}")
async def stream(pieces: int, name: str):
    """A body in several pieces with a pause before each."""

    async def body():
        for number in range(pieces):
            await asyncio.sleep(0.01)
            yield f"{name} {number}\n"

    return StreamingResponse(body(), media_type="text/plain")
