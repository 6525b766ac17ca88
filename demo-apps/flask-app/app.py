"""The shop's front: answers from the users service and the albums service."""

import os

import requests
from flask import Flask, jsonify

FASTAPI_URL = os.environ.get("FASTAPI_URL", "http://127.0.0.1:8000")
GOLANG_URL = os.environ.get("GOLANG_URL", "http://127.0.0.1:8002")
# The users service may take ten seconds over one answer.
TIMEOUT_SECONDS = 30

app = Flask(__name__)


def forward(url, **params):
    """Ask another service and pass its answer on as it is."""
    answer = requests.get(url, params=params, timeout=TIMEOUT_SECONDS)
    return jsonify(answer.json()), answer.status_code


@app.get("/")
def index():
    return "hello-world"


@app.get("/users")
def users():
    return forward(f"{FASTAPI_URL}/users")


@app.get("/user/<username>")
def user(username):
    return forward(f"{FASTAPI_URL}/users", name=username)


@app.get("/albums")
def albums():
    return forward(f"{GOLANG_URL}/albums")


@app.errorhandler(requests.RequestException)
def upstream_failed(error):
    app.logger.error("upstream failed: %s", error)
    return jsonify(error="upstream failed"), 502


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8001")))
