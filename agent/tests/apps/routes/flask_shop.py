"""A Flask application that only its factory knows, with a blueprint, and with a route that comes later."""

from flask import Blueprint, Flask

shop = Blueprint("shop", __name__, url_prefix="/shop")


@shop.get("/items/<int:number>")
def item(number):
    return {"item": number}


@shop.get("/files/<path:path>")
def file(path):
    return {"path": path}


def create_app():
    app = Flask(__name__)
    app.register_blueprint(shop)

    @app.route("/user/<name>", methods=["GET", "PUT"])
    def user(name):
        return {"user": name}

    @app.get("/late/add")
    def add():
        # Flask itself forbids it after the first request; Werkzeug, on which plug-ins rely, does not.
        app.url_map.add(app.url_rule_class("/late/<name>/there", endpoint="user", methods=["GET"]))
        return {}

    return app
