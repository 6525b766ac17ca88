"""A WSGI application: `GET /WAY/NAME`. Started by itself it is Flask's development server: `wsgi.py PORT`."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import Queue

from flask import Flask

import blocking

app = Flask(__name__)


@app.get("/sync/<name>")
def sync(name):
    blocking.query(name)
    return name


@app.get("/fetch/<name>")
def fetch(name):
    blocking.fetch(name)
    return name


@app.get("/sequence/<name>")
def sequence(name):
    blocking.fetch(name)
    blocking.query(name)
    return name


@app.get("/threads/<name>")
def threads(name):
    """Three threads of its own, or greenlets where threads are greenlets."""
    calls = [threading.Thread(target=blocking.fetch, args=(name, number)) for number in range(3)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    return name


@app.get("/nested_threads/<name>")
def nested_threads(name):
    def descend(depth):
        if depth == 0:
            return blocking.query(name)
        thread = threading.Thread(target=descend, args=(depth - 1,))
        thread.start()
        thread.join()

    descend(3)
    return name


@cache
def pool():
    return ThreadPoolExecutor(4)


@app.get("/pool/<name>")
def shared_pool(name):
    """A pool that the first request starts and all requests use."""
    pool().submit(blocking.query, name).result()
    return name


@cache
def jobs():
    """The way to a thread that serves everybody, and was started by whoever came first."""
    queue = Queue()

    def work():
        while True:
            name, done = queue.get()
            blocking.query(name)
            done.set()

    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    return queue


@app.get("/queue/<name>")
def queued(name):
    done = threading.Event()
    jobs().put((name, done))
    done.wait()
    return name


@app.get("/queue_late/<name>")
def queued_late(name):
    """The same, without waiting for it."""
    jobs().put((name, threading.Event()))
    return name


if __name__ == "__main__":
    from werkzeug.serving import WSGIRequestHandler

    # The server's default is one request a connection.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app.run(port=int(sys.argv[1]), threaded=True)
