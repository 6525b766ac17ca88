"""The ways of `awaited.py` behind aiohttp's server, where one task serves a whole connection. `GET /WAY/NAME`.

    aiohttp_server.py PORT asyncio|uvloop
"""

import asyncio
import sys

from aiohttp import web

import awaited


def route(way):
    async def endpoint(request):
        name = request.match_info["name"]
        await way(name)
        return web.Response(text=name)

    return web.get(f"/{way.__name__}/{{name}}", endpoint)


async def stream(request):
    """A call between two pieces of the body."""
    name = request.match_info["name"]
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(f"{name}\n".encode())
    await awaited.query(name)
    await response.write(f"{name}\n".encode())
    await response.write_eof()
    return response


async def clients(_app):
    await awaited.clients.open()
    yield
    await awaited.clients.close()


def main():
    app = web.Application()
    app.add_routes([route(way) for way in awaited.WAYS] + [web.get("/stream/{name}", stream)])
    app.cleanup_ctx.append(clients)
    loop = asyncio.new_event_loop()
    if sys.argv[2] == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), loop=loop, print=None)


main()
