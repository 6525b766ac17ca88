"""An HTTP server on bare sockets, which reads and writes in every way that the socket interface offers.

    sockets.py FOLDER        FOLDER: where the UNIX socket and the files to send are made

It listens once for each way to read and each address family, and prints `NAME PORT` for each (`unix PATH` for the UNIX socket),
then `ready`. How the answer is written is said by the request's path, `/HOW/SIZE/ANYTHING`:

    sendall, send-one-byte, sendmsg, writev, write,
    sendfile, splice, nonblocking                                            SIZE bytes with Content-Length
    chunked, chunked-slowly (a pause before each chunk), trailers            SIZE chunks
    close-delimited                                                          SIZE bytes, then the connection is closed
    status                                                                   an answer with status SIZE and no body
    sleep                                                                    an answer after SIZE milliseconds
    silent                                                                   the connection is closed without an answer
    given-up                                                                 the same, once the client has gone
    upgrade                                                                  101, then an echo of everything

CONNECT is answered with 200 and an echo of everything.
"""

import os
import select
import socket
import sys
import threading
import time

FOLDER = sys.argv[1]
PAUSE = 0.02


# --- ways to read: each takes a socket and gives the next bytes, empty at the end of the stream


def read_recv(connection):
    return connection.recv(65536)


def read_recv_one_byte(connection):
    return connection.recv(1)


def read_peek_first(connection):
    seen = connection.recv(65536, socket.MSG_PEEK)
    return connection.recv(len(seen)) if seen else b""


def read_recv_into_pieces(connection):
    piece = bytearray(13)
    return bytes(piece[: connection.recv_into(piece)])


def read_recvmsg(connection):
    pieces = [bytearray(3), bytearray(17), bytearray(4096)]
    size = connection.recvmsg_into(pieces)[0]
    return b"".join(pieces)[:size]


def read_readv(connection):
    pieces = [bytearray(5), bytearray(11), bytearray(4096)]
    size = os.readv(connection.fileno(), pieces)
    return b"".join(pieces)[:size]


def read_read(connection):
    return os.read(connection.fileno(), 65536)


def read_nonblocking(connection):
    while True:
        try:
            return connection.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            select.select([connection], [], [])


READS = {
    "recv": read_recv,
    "recv-one-byte": read_recv_one_byte,
    "peek-first": read_peek_first,
    "recv-into-pieces": read_recv_into_pieces,
    "recvmsg": read_recvmsg,
    "readv": read_readv,
    "read": read_read,
    "nonblocking": read_nonblocking,
}


# --- ways to write: each takes the connection, the head and the body


def write_sendall(connection, head, body):
    connection.sendall(head + body)


def write_one_byte(connection, head, body):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in head + body:
        connection.send(bytes([byte]))


def segments(head, body):
    """Every line of the head a segment of its own, the body in many."""
    step = max(1, len(body) // 50)
    return head.splitlines(True) + [body[at : at + step] for at in range(0, len(body), step)]


def write_vectors(send, pieces):
    """Many segments in one call, and again with what the call left over."""
    while pieces:
        size = send(pieces)
        while pieces and size >= len(pieces[0]):
            size -= len(pieces.pop(0))
        if pieces:
            pieces[0] = pieces[0][size:]


def write_sendmsg(connection, head, body):
    write_vectors(connection.sendmsg, segments(head, body))


def write_writev(connection, head, body):
    write_vectors(lambda pieces: os.writev(connection.fileno(), pieces), segments(head, body))


def write_write(connection, head, body):
    rest = head + body
    while rest:
        rest = rest[os.write(connection.fileno(), rest) :]


def write_sendfile(connection, head, body):
    path = os.path.join(FOLDER, f"body-{threading.get_ident()}")
    with open(path, "wb") as file:
        file.write(body)
    connection.sendall(head)
    with open(path, "rb") as file:
        connection.sendfile(file)
    os.unlink(path)


def write_splice(connection, head, body):
    connection.sendall(head)
    source, sink = os.pipe()
    for at in range(0, len(body), 4096):
        size = os.write(sink, body[at : at + 4096])
        while size:
            size -= os.splice(source, connection.fileno(), size)
    os.close(source)
    os.close(sink)


def write_nonblocking(connection, head, body):
    rest = memoryview(head + body)
    while rest:
        try:
            rest = rest[connection.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            select.select([], [connection], [])


WRITES = {
    "sendall": write_sendall,
    "send-one-byte": write_one_byte,
    "sendmsg": write_sendmsg,
    "writev": write_writev,
    "write": write_write,
    "sendfile": write_sendfile,
    "splice": write_splice,
    "nonblocking": write_nonblocking,
}


# --- requests


class Stream:
    """What has been read from a connection and not been used."""

    def __init__(self, connection, read):
        self.connection, self.read, self.held = connection, read, b""

    def until(self, mark):
        while mark not in self.held:
            piece = self.read(self.connection)
            if not piece:
                return None
            self.held += piece
        found, self.held = self.held.split(mark, 1)
        return found

    def exactly(self, size):
        pieces, missing = [self.held[:size]], size - len(self.held)
        self.held = self.held[size:]
        while missing > 0:
            piece = self.read(self.connection)
            if not piece:
                break
            pieces.append(piece[:missing])
            self.held = piece[missing:]
            missing -= len(piece)
        return b"".join(pieces)


def read_body(stream, headers):
    """Takes the request's body off the stream and gives its size."""
    if headers.get("expect") == "100-continue":
        stream.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding") != "chunked":
        return len(stream.exactly(int(headers.get("content-length", 0))))
    total = 0
    while size := int(stream.until(b"\r\n").split(b";")[0], 16):
        total += len(stream.exactly(size))
        stream.until(b"\r\n")
    while stream.until(b"\r\n"):
        pass
    return total


def echo(stream):
    """The stream no longer is HTTP: give back whatever comes."""
    stream.connection.sendall(stream.held)
    while piece := stream.read(stream.connection):
        stream.connection.sendall(piece)


def head_of(status, *lines):
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode()


def answer_chunked(connection, count, pause=0.0, trailers=False):
    connection.sendall(head_of("200 OK", "Transfer-Encoding: chunked"))
    for number in range(count):
        time.sleep(pause)
        connection.sendall(b"10\r\n" + b"%016d" % number + b"\r\n")
    connection.sendall(b"0\r\nX-Sum: 1\r\n\r\n" if trailers else b"0\r\n\r\n")


def answer(stream, method, how, size):
    """Writes the answer; false when the connection ends with it."""
    connection = stream.connection
    if how in WRITES:
        body = b"" if method == "HEAD" else b"b" * size
        WRITES[how](connection, head_of("200 OK", f"Content-Length: {size}", "Content-Type: text/plain"), body)
    elif how in ("chunked", "chunked-slowly", "trailers"):
        answer_chunked(connection, size, PAUSE if how == "chunked-slowly" else 0.0, how == "trailers")
    elif how == "status":
        length = () if size in (204, 304) else ("Content-Length: 0",)
        connection.sendall(head_of(f"{size} Told so", *length))
    elif how == "sleep":
        time.sleep(size / 1000)
        connection.sendall(head_of("200 OK", "Content-Length: 3") + b"ok\n")
    elif how == "close-delimited":
        connection.sendall(head_of("200 OK", "Connection: close") + b"b" * size)
        return False
    elif how == "given-up":
        select.select([connection], [], [], 10)  # the peer's end of file
        return False
    elif how == "upgrade":
        connection.sendall(head_of("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"))
        echo(stream)
        return False
    else:
        return how != "silent"
    return True


def serve_one(stream):
    """One request and its answer; false when the connection is over."""
    head = stream.until(b"\r\n\r\n")
    if head is None:
        return False
    lines = head.decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if method == "CONNECT":
        stream.connection.sendall(head_of("200 Connected"))
        echo(stream)
        return False
    read_body(stream, headers)
    path = target.split("://", 1)[-1].partition("/")[2] if "://" in target else target[1:]
    how, size, _name = path.split("/", 2)
    return answer(stream, method, how, int(size)) and headers.get("connection") != "close"


def serve(connection, read):
    with connection:
        stream = Stream(connection, read)
        try:
            while serve_one(stream):
                pass
        except OSError:
            pass  # the peer is gone; there is nobody to tell


def listen(name, listener, read):
    """Starts to serve and says where."""
    address = listener.getsockname()
    print(name, address if isinstance(address, str) else address[1], flush=True)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, read), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def main():
    for name, read in READS.items():
        listen(name, socket.create_server(("127.0.0.1", 0)), read)
    listen("ipv6", socket.create_server(("::1", 0), family=socket.AF_INET6), read_recv)
    listen("dual", socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True), read_recv)
    local = socket.socket(socket.AF_UNIX)
    local.bind(os.path.join(FOLDER, "sockets.sock"))
    local.listen()
    listen("unix", local, read_recv)
    print("ready", 0, flush=True)
    threading.Event().wait()


main()
