"""Makes children in several ways, as told line by line on standard input; each child sends one request and ends.

    family.py HOST PORT

Each line is `HOW PATH`: `fork` (no exec), `exec` (fork and exec), `thread`, `grandchild` (fork, then fork and exec).
Each line gets one line of answer: the pid that sent the request and the status that it got.
"""

import os
import socket
import subprocess
import sys
import threading

HOST, PORT = sys.argv[1], sys.argv[2]
ONCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "once.py")


def send(path):
    """One request on a connection of its own."""
    with socket.create_connection((HOST, int(PORT))) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


def answer(pid, status):
    """Unbuffered, so that a forked child cannot print what its parent had waiting."""
    os.write(1, f"{pid} {status}\n".encode())


def by_fork(path):
    pid = os.fork()
    if pid == 0:
        answer(os.getpid(), send(path))
        os._exit(0)
    os.waitpid(pid, 0)


def by_exec(path):
    # `-I -S`: a start quick enough that nothing which polls could find the child in time.
    child = subprocess.Popen([sys.executable, "-I", "-S", ONCE, HOST, PORT, path], stdout=subprocess.PIPE, text=True)
    output, _ = child.communicate()
    answer(child.pid, int(output))


def by_thread(path):
    thread = threading.Thread(target=lambda: answer(os.getpid(), send(path)))
    thread.start()
    thread.join()


def by_grandchild(path):
    pid = os.fork()
    if pid == 0:
        by_exec(path)
        os._exit(0)
    os.waitpid(pid, 0)


HOW = {"fork": by_fork, "exec": by_exec, "thread": by_thread, "grandchild": by_grandchild}

answer("ready", 0)
for line in sys.stdin:
    how, target = line.split()
    HOW[how](target)
