"""A FastAPI application that only its factory knows, with routers in it and applications mounted in it."""

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

orders = APIRouter(prefix="/orders")
shop = APIRouter(prefix="/shop")


@orders.get("/{number}")
async def order(number: int):
    return {"order": number}


shop.include_router(orders)


async def page(request):
    return PlainTextResponse(request.path_params["name"])


def create_app():
    app = FastAPI()
    app.include_router(shop, prefix="/v1")

    admin = FastAPI()

    @admin.get("/users/{name}")
    def user(name: str):
        return {"user": name}

    app.mount("/admin", admin)
    app.mount("/pages", Starlette(routes=[Mount("/a", routes=[Route("/{name:path}", page)])]))

    @app.get("/users/{user_id}")
    async def users(user_id: int):
        return {"user": user_id}

    @app.get("/files/{path:path}")
    async def files(path: str):
        return {"path": path}

    return app
