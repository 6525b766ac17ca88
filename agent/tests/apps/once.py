"""A short-lived program: one request, one line with the status, the end. `once.py HOST PORT PATH`"""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.sendall(f"GET {sys.argv[3]} HTTP/1.1\r\nHost: {sys.argv[1]}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
print(answer.split(b" ", 2)[1].decode(), flush=True)
