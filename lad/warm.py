"""`lad warm COMMAND`: as long as the command runs, each `lad` that it starts begins in milliseconds.

A pipeline starts hundreds of commands, and each imports for one to ten seconds what the one before has imported. Here a
process imports everything once and forks for every command. The `lad` that was started hands over its arguments,
environment, folder, input and output, waits, and ends as the fork ends. It is still the process to look at and to
kill: its fork does not outlive it.

A command starts on its own, as without all this, wherever a fork could behave otherwise: on a GPU (CUDA cannot be
forked), with several threads (BLAS takes their number from the environment when it is loaded), with another interpreter
or checkout, with other limits, or where the environment differs in anything else that a library may have read when it
was imported.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

ADDRESS: Final = "LAD_WARM"
"""The environment variable that names the socket of the process that forks."""

_IMPORTED: Final = (
    *("lad.cli", "lad.config", "lad.grid", "lad.benchmark.formats", "lad.benchmark.questions", "lad.benchmark.tfidf"),
    *("lad.extraction.cell", "lad.calibration.calibrate", "lad.methods.cell", "lad.evaluation.metrics"),
    *("lad.evaluation.differences", "lad.benchmark.presentations", "lad.report.drawing", "lad.report.page"),
    *("lad.report.explorer.page", "lad.choosing"),
    # What libraries import only as they are used: pyarrow takes pandas for each array that it hands over.
    *("duckdb", "pandas", "pyarrow.dataset", "pyarrow.acero", "pyarrow.pandas_compat"),
    *("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg"),
    *("PIL.PngImagePlugin", "PIL.JpegImagePlugin", "PIL.WebPImagePlugin"),
)
"""What commands take long to import. What is missing on this machine is left out."""

_READ_LATE: Final = frozenset(
    {*("PWD", "OLDPWD", "SHLVL", "_", "PS1", "PATH", "VIRTUAL_ENV", "COLUMNS", "LINES", "PYTEST_CURRENT_TEST", ADDRESS)}
    | {"TMPDIR", "TMP", "TEMP", "TEMPDIR"}
)
"""Variables that may differ between the process that imports and a command."""

ONE_THREAD: Final = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")} | {
    "VECLIB_MAXIMUM_THREADS": "1"
}
"""What Snakemake tells the jobs that have one thread."""

_STATUS_BYTES: Final = 4


def run_as_fork() -> None:
    """Have this command forked where a process that does so is there and fits, and end as it ends; else do nothing."""
    if (address := os.environ.get(ADDRESS)) and not _needs_gpu(sys.argv):
        status = _forked(address)
        if status is not None:
            _end_as(status)


@contextlib.contextmanager
def forking() -> Iterator[dict[str, str]]:
    """The environment in which `lad` is forked, good for as long as this lasts."""
    if not hasattr(os, "pidfd_open"):
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="lad-warm-") as folder:
        address = f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(128)
            # Its input is never written to: that it ends tells that we have ended.
            server = subprocess.Popen(
                [sys.executable, "-m", "lad.warm", str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                env={**os.environ, **ONE_THREAD},
            )
        try:
            yield {ADDRESS: address}
        finally:
            assert server.stdin is not None
            server.stdin.close()
            try:
                server.wait(1)
            except subprocess.TimeoutExpired:  # it is importing
                server.kill()
                server.wait()


def _needs_gpu(words: Sequence[str]) -> bool:
    devices = [word.partition("=")[2] for word in words if word.startswith("--device=")]
    devices += [after for word, after in pairwise(words) if word == "--device"]
    return any(device != "cpu" for device in devices)


def _surroundings() -> dict[str, Any]:
    """All in which the process that forks has to be like a command."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    return {
        "python": [sys.prefix, str(Path(__file__).parent)],
        "limits": [list(resource.getrlimit(limit)) for limit in limits],
        "environment": {name: value for name, value in os.environ.items() if name not in _READ_LATE},
    }


def _forked(address: str) -> int | None:
    """How the fork of this command ended, as of `os.waitstatus_to_exitcode`; None if it is to run on its own."""
    late = {name: value for name, value in os.environ.items() if name in _READ_LATE}
    request = {"words": sys.argv, "folder": str(Path.cwd()), "late": late, **_surroundings()}
    message = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [len(message).to_bytes(8)], [0, 1, 2])
            connection.sendall(message)
        except OSError:
            return None
        if connection.recv(1) != b"y":
            return None
        answer = connection.recv(_STATUS_BYTES, socket.MSG_WAITALL)
        if not answer:
            print("lad: error: the process of `lad warm` has ended, and this command with it", file=sys.stderr)
            return 1
        return int.from_bytes(answer, signed=True)


def _end_as(status: int) -> NoReturn:
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


class _Forks:
    """The process that forks: one loop over new commands, commands that went away, and forks that ended."""

    def __init__(self, listener: socket.socket, surroundings: dict[str, Any]) -> None:
        self._own = surroundings
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, None)
        self._listener = listener
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def run(self) -> None:
        """Until whoever started this has ended."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    for child, _ in self._running.values():
                        os.kill(child, signal.SIGKILL)
                    return
                key.data()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        with contextlib.suppress(OSError, ValueError):
            length, streams, _, _ = socket.recv_fds(connection, 8, 3)
            request = json.loads(connection.recv(int.from_bytes(length), socket.MSG_WAITALL))
            try:
                if all(request[name] == value for name, value in self._own.items()):
                    connection.sendall(b"y")
                    self._fork(request, streams, connection)
                    return
            finally:
                for stream in streams:
                    os.close(stream)
        connection.close()

    def _fork(self, request: dict[str, Any], streams: Sequence[int], connection: socket.socket) -> None:
        child = os.fork()
        if not child:
            self._selector.close()
            self._listener.close()
            _run(request, streams)
        ended = os.pidfd_open(child)
        self._running[ended] = child, connection
        self._selector.register(ended, selectors.EVENT_READ, lambda: self._ended(ended))
        # Nothing more is sent to us: that something is to be read means that the command has gone.
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._left_alone(ended))

    def _left_alone(self, ended: int) -> None:
        if ended not in self._running:  # both ended between two looks
            return
        child, connection = self._running[ended]
        self._selector.unregister(connection)
        os.kill(child, signal.SIGKILL)

    def _ended(self, ended: int) -> None:
        child, connection = self._running.pop(ended)
        _, status = os.waitpid(child, 0)
        self._selector.unregister(ended)
        os.close(ended)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        with contextlib.suppress(OSError), connection:
            connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(_STATUS_BYTES, signed=True))


def _run(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """A command, in a fork."""
    status = 1
    try:
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        os.chdir(request["folder"])
        for name in _READ_LATE:
            os.environ.pop(name, None)
        os.environ.update(request["late"])
        tempfile.tempdir = None
        sys.argv = request["words"]
        # With it, help would name the module that was run here, not the program.
        sys.modules["__main__"].__package__ = None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import_module(_IMPORTED[0]).main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for output in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                output.flush()
        os._exit(status)


def _serve(listener: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    surroundings = _surroundings()
    # torch would ask CUDA how many GPUs there are, and a process that did cannot be forked any more.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    with socket.socket(fileno=listener) as own:
        forks = _Forks(own, surroundings)
        for module in _IMPORTED:
            with contextlib.suppress(ModuleNotFoundError):
                import_module(module)
        forks.run()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
