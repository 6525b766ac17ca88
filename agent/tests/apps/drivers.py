"""Runs statements through one PostgreSQL driver, as told line by line on standard input.

    drivers.py DRIVER DSN        DRIVER: psycopg2, psycopg3, asyncpg

The connection is opened before the first line is read and kept. Each line is `VERB ARGUMENT`; each gets one line of answer.
"""

import asyncio
import sys

SELECT = "SELECT id, name FROM people WHERE id = {}"
INSERT = "INSERT INTO notes (person, body) VALUES ({}, {})"
MISSING = "SELECT secret FROM no_such_table WHERE word = 'hunter2'"


class Psycopg2:
    """Parameters are put into the text on the client's side; every call is one simple query."""

    def __init__(self, dsn):
        import psycopg2

        self.failure = psycopg2.Error
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def select(self, argument):
        self.cursor.execute(SELECT.format("%s"), (int(argument),))
        return self.cursor.fetchone()[1]

    def insert(self, argument):
        self.cursor.execute(INSERT.format("%s", "%s"), (1, argument))
        return self.cursor.rowcount

    def many(self, argument):
        self.cursor.executemany(INSERT.format("%s", "%s"), [(1, f"note {n}") for n in range(int(argument))])
        return argument

    def transaction(self, argument):
        self.connection.autocommit = False
        name = self.select(argument)
        self.connection.commit()
        self.connection.autocommit = True
        return name

    def rows(self, argument):
        self.cursor.execute("SELECT n, repeat('x', 100) FROM generate_series(1, %s) AS n", (int(argument),))
        return len(self.cursor.fetchall())

    def fail(self, _argument):
        try:
            self.cursor.execute(MISSING)
        except self.failure as error:
            return error.pgcode


class Psycopg3:
    """Parameters travel apart from the text; a statement that is repeated gets prepared by the driver itself."""

    def __init__(self, dsn):
        import psycopg

        self.failure = psycopg.Error
        self.connection = psycopg.connect(dsn, autocommit=True)

    def select(self, argument):
        return self.connection.execute(SELECT.format("%s"), (int(argument),)).fetchone()[1]

    def insert(self, argument):
        return self.connection.execute(INSERT.format("%s", "%s"), (1, argument)).rowcount

    def many(self, argument):
        with self.connection.cursor() as cursor:
            cursor.executemany(INSERT.format("%s", "%s"), [(1, f"note {n}") for n in range(int(argument))])
        return argument

    def pipeline(self, argument):
        with self.connection.pipeline():
            cursors = [
                self.connection.execute(SELECT.format("%s"), (1 + n % 2,)) for n in range(int(argument))
            ]
            return ",".join(cursor.fetchone()[1] for cursor in cursors)

    def transaction(self, argument):
        with self.connection.transaction():
            return self.select(argument)

    def fail(self, _argument):
        try:
            self.connection.execute(MISSING)
        except self.failure as error:
            return error.sqlstate


class Asyncpg:
    """Everything is prepared, by name, and the cache keeps it."""

    def __init__(self, dsn):
        import asyncpg

        self.failure = asyncpg.PostgresError
        self.loop = asyncio.new_event_loop()
        self.connection = self.run(asyncpg.connect(dsn))

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def select(self, argument):
        return self.run(self.connection.fetchrow(SELECT.format("$1"), int(argument)))["name"]

    def insert(self, argument):
        return self.run(self.connection.execute(INSERT.format("$1", "$2"), 1, argument))

    def many(self, argument):
        notes = [(1, f"note {n}") for n in range(int(argument))]
        self.run(self.connection.executemany(INSERT.format("$1", "$2"), notes))
        return argument

    def transaction(self, argument):
        async def inside():
            async with self.connection.transaction():
                return await self.connection.fetchrow(SELECT.format("$1"), int(argument))

        return self.run(inside())["name"]

    def fail(self, _argument):
        try:
            self.run(self.connection.fetch(MISSING))
        except self.failure as error:
            return error.sqlstate


def main():
    drivers = {"psycopg2": Psycopg2, "psycopg3": Psycopg3, "asyncpg": Asyncpg}
    driver = drivers[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        print(getattr(driver, verb)(argument), flush=True)


main()
