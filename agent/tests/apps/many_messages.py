"""An HTTP server on PORT that reads with recvmmsg and answers with sendmmsg, several messages a call.

Python has neither, so they are called through the C library.
"""

import ctypes
import os
import socket

MSG_WAITFORONE = 0x10000
LIBC = ctypes.CDLL(None, use_errno=True)


class Segment(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("segments", ctypes.POINTER(Segment)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Message(ctypes.Structure):
    _fields_ = [("header", Header), ("length", ctypes.c_uint)]


def messages(buffers):
    made = (Message * len(buffers))()
    for message, buffer in zip(made, buffers):
        segment = Segment(ctypes.cast(buffer, ctypes.c_void_p), len(buffer))
        message.header.segments = ctypes.pointer(segment)
        message.header.count = 1
    return made


def read(connection):
    """Up to six pieces of 20 bytes; empty at the end of the stream."""
    buffers = [ctypes.create_string_buffer(20) for _ in range(6)]
    made = messages(buffers)
    count = LIBC.recvmmsg(connection.fileno(), made, len(buffers), MSG_WAITFORONE, None)
    return b"".join(buffer.raw[: message.length] for buffer, message in zip(buffers[: max(count, 0)], made))


def answer(connection):
    parts = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"\r\n", b"hel", b"lo"]
    made = messages([ctypes.create_string_buffer(part, len(part)) for part in parts])
    LIBC.sendmmsg(connection.fileno(), made, len(parts), 0)


def serve(connection):
    seen = b""
    while piece := read(connection):
        seen += piece
        while b"\r\n\r\n" in seen:
            seen = seen.partition(b"\r\n\r\n")[2]
            answer(connection)


listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    with listener.accept()[0] as accepted:
        serve(accepted)
