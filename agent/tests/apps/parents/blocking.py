"""Calls that block their thread, each of which names its request: `SELECT … AS r_NAME`, and `GET /leaf/NAME/NUMBER`."""

import os
from collections import deque

import psycopg2
import urllib3

# Kept by nobody in particular: a connection serves whichever request comes next.
connections = deque()
clients = urllib3.PoolManager(maxsize=100)


def query(name):
    """One statement."""
    try:
        connection = connections.pop()
    except IndexError:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 AS r_{name}")
        cursor.fetchall()
    connections.append(connection)


def fetch(name, number=0):
    """One HTTP request."""
    answer = clients.request("GET", f"{os.environ['LEAF_URL']}/leaf/{name}/{number}", retries=False)
    assert answer.status == 200, answer.status
