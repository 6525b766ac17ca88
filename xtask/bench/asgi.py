"""An application that does next to nothing, so that what an observer costs stands out."""

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"6")]


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"hello\n"})
