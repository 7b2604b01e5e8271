"""A `gw` for tests that call it often: a fork of one process that has imported it already.

Most of a short command's time is Python reading gw's modules. The program `gw` in the folder of `preforked_gw` hands
its arguments, environment, folder and streams to that process, which forks for each call, and ends with the fork's exit
code; signals to end go on to the fork. What is about the process itself, its start above all, takes the installed `gw`.
"""

import array
import atexit
import functools
import importlib
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

_LAUNCHER = """#!{python} -ISE
import _socket, os, signal, sys

mother = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
mother.connect({path!r})
parts = [os.getcwd(), str(len(sys.argv)), *sys.argv, *(name + "=" + value for name, value in os.environ.items())]
sent = "\\0".join(parts).encode("utf-8", "surrogateescape")
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
mother.sendmsg([len(sent).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
mother.sendall(sent)
child = int.from_bytes(mother.recv(4), "big")
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda number, frame: os.kill(child, number))
code = mother.recv(1)
os._exit(code[0] if code else 1)
"""


@functools.cache
def preforked_gw() -> Path:
    """The folder with this `gw`; it ends with the process that asked first."""
    folder = tempfile.TemporaryDirectory(prefix="gw-")
    path = Path(folder.name, "socket")
    launcher = Path(folder.name, "bin", "gw")
    launcher.parent.mkdir()
    launcher.write_text(_LAUNCHER.format(python=sys.executable, path=str(path)))
    launcher.chmod(0o700)
    ready, is_ready = os.pipe()
    command = [sys.executable, "-m", "support.preforked_gw", str(path), str(is_ready)]
    known = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Its standard input is the life of the process that asked: at its end it ends, too.
    mother = subprocess.Popen(command, env=known, stdin=subprocess.PIPE, pass_fds=[is_ready])

    def end() -> None:
        mother.kill()
        mother.wait()
        folder.cleanup()

    atexit.register(end)
    os.close(is_ready)
    assert os.read(ready, 1), "the process to fork gw from did not start"
    os.close(ready)
    return launcher.parent


def _serve(path: str, ready: int) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(ready, b"1")
        os.close(ready)
        # Whoever has handled a call is nobody's to wait for.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            call, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                os._exit(_handle(call))
            call.close()


def _handle(call: socket.socket) -> int:
    """Starts one call, and tells who runs it and, at the end, its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, given, _, _ = call.recvmsg(4, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i", given[0][2][:12])
    sent = b""
    while len(sent) < int.from_bytes(size, "big"):
        sent += call.recv(65536)
    child = os.fork()
    if child == 0:
        call.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(_run(sent.decode("utf-8", "surrogateescape").split("\0")))
    # Its streams end with the call itself.
    for number in (0, 1, 2, *streams):
        os.close(number)
    call.sendall(child.to_bytes(4, "big"))
    _, status = os.waitpid(child, 0)
    call.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
    return 0


def _run(parts: list[str]) -> int:
    folder, count, *rest = parts
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(part.split("=", 1) for part in rest[int(count) :])
    sys.argv = rest[: int(count)]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115  # the process's own
    from gw.__main__ import main

    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def _import_all() -> None:
    import gw

    for module in pkgutil.walk_packages(gw.__path__, "gw."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    _import_all()
    _serve(sys.argv[1], int(sys.argv[2]))
