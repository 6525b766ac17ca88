"""Sends HTTP requests with one client library, as told line by line on standard input.

    clients.py LIBRARY        LIBRARY: http.client, requests, httpx, httpx-async, aiohttp

Each line is `METHOD URL`; each gets one line of answer: the status. Connections are kept between lines.
"""

import asyncio
import sys
import urllib.parse


class HttpClient:
    """The standard library's own client."""

    def __init__(self):
        self.connections = {}

    def send(self, method, url):
        import http.client

        parts = urllib.parse.urlsplit(url)
        if parts.netloc not in self.connections:
            self.connections[parts.netloc] = http.client.HTTPConnection(parts.hostname, parts.port)
        connection = self.connections[parts.netloc]
        target = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, target)
        response = connection.getresponse()
        response.read()
        return response.status


class Requests:
    """urllib3 underneath, one pool."""

    def __init__(self):
        import requests

        self.session = requests.Session()

    def send(self, method, url):
        return self.session.request(method, url).status_code


class Httpx:
    """httpcore underneath, blocking."""

    def __init__(self):
        import httpx

        self.client = httpx.Client()

    def send(self, method, url):
        return self.client.request(method, url).status_code


class HttpxAsync:
    """httpcore underneath, on an event loop."""

    def __init__(self):
        import httpx

        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient()

    def send(self, method, url):
        return self.loop.run_until_complete(self.client.request(method, url)).status_code


class Aiohttp:
    """aiohttp's own parser and connector."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self.open())

    @staticmethod
    async def open():
        import aiohttp

        return aiohttp.ClientSession()

    async def one(self, method, url):
        async with self.session.request(method, url) as response:
            await response.read()
            return response.status

    def send(self, method, url):
        return self.loop.run_until_complete(self.one(method, url))


LIBRARIES = {
    "http.client": HttpClient,
    "requests": Requests,
    "httpx": Httpx,
    "httpx-async": HttpxAsync,
    "aiohttp": Aiohttp,
}


def main():
    client = LIBRARIES[sys.argv[1]]()
    print("ready", flush=True)
    for line in sys.stdin:
        method, url = line.split()
        print(client.send(method, url), flush=True)


main()
