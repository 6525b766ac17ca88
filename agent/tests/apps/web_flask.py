"""A small Flask application: what a team's service does, without a word about tracing."""

import os
import time

from flask import Flask, Response, request

app = Flask(__name__)


@app.route("/items/<name>", methods=["GET", "POST"])
def item(name):
    """Echo the item; bodies are read, so uploads count too."""
    return {"item": name, "received": len(request.get_data())}


@app.get("/status/<int:code>/<name>")
def status(code, name):
    """Answer with the status that was asked for."""
    return Response(f"{name}\n", status=code)


@app.get("/pid/<name>")
def pid(name):
    """Which worker answers."""
    return {"item": name, "pid": os.getpid()}


@app.get("/stream/<int:pieces>/<name>")
def stream(pieces, name):
    """A body in several pieces with a pause before each."""

    def body():
        for number in range(pieces):
            time.sleep(0.01)
            yield f"{name} {number}\n"

    return Response(body(), mimetype="text/plain")
