"""The users service."""

import asyncio
import os
import random
import time
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, HTTPException
from sqlalchemy.engine import make_url
from sqlmodel import Field, Session, SQLModel, create_engine, select

DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql://user:password@127.0.0.1:5432/db")
# "on": one request in ten for /users takes ten seconds, and one in ten fails.
FAULTS = os.environ.get("FAULTS", "off") == "on"
SLOW_SECONDS = 10

# The driver is named because SQLAlchemy's default for postgresql:// differs between its versions.
engine = create_engine(make_url(DATABASE_URL).set(drivername="postgresql+psycopg2"))


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    age: int


@asynccontextmanager
async def lifespan(app):
    app.state.pool = await asyncpg.create_pool(DATABASE_URL, min_size=1, max_size=10)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


def work(seconds):
    """Keep a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def maybe_fail():
    if not FAULTS:
        return
    dice = random.randint(1, 10)
    if dice == 10:
        work(SLOW_SECONDS)
    elif dice == 9:
        raise HTTPException(status_code=500, detail="the dice said no")


@app.get("/")
async def index():
    return {"message": "Hello World"}


@app.get("/users")
def users(name: str | None = None) -> list[User]:
    maybe_fail()
    statement = select(User).order_by(User.id)
    if name is not None:
        statement = statement.where(User.name == name)
    with Session(engine) as session:
        return list(session.exec(statement))


@app.get("/users/{user_id}")
async def user(user_id: int) -> User:
    row = await app.state.pool.fetchrow("SELECT id, name, age FROM users WHERE id = $1", user_id)
    if row is None:
        raise HTTPException(status_code=404, detail="no such user")
    return User(**row)


@app.get("/do_long_work")
async def do_long_work(sec: float = 1.0):
    await asyncio.to_thread(work, sec)
    return {"worked": sec}


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000")))
