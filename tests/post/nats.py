"""A real nats-server with JetStream on a free loopback port, and a TCP link that can be cut."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

__all__ = ["NatsServer", "TcpLink", "free_port", "needs_nats", "wait_until"]

_PROGRAM = shutil.which("nats-server") or shutil.which(
    "nats-server", path="/usr/sbin:/usr/local/sbin"
)
needs_nats = pytest.mark.skipif(
    _PROGRAM is None, reason="nats-server is not installed (apt-get install nats-server)"
)


def free_port() -> int:
    """A port that nobody uses just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], what: str, limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class NatsServer:
    """One server; its store outlives a kill."""

    def __init__(self, folder: Path, config: str = "", *, jetstream: bool = True) -> None:
        """Args:
        config: more of nats-server's configuration; PORT in it stands for a free port.
        """
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        store = (
            f'jetstream {{ store_dir: "{folder / "store"}", domain: post }}\n' if jetstream else ""
        )
        self._config = folder / "nats.conf"
        self._config.write_text(f"listen: 127.0.0.1:{self.port}\n{store}{config}")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self, *more: str) -> NatsServer:
        """Start, and wait until it listens."""
        assert _PROGRAM is not None
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_PROGRAM, "-c", str(self._config), *more], stdout=log, stderr=log
            )
        wait_until(self._listens, "nats-server listens", 30)
        return self

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def log(self) -> str:
        return (self.folder / "nats.log").read_text()[-2000:]

    def kill(self) -> None:
        """As if its plug was pulled."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None


class TcpLink:
    """Carries connections from a port of its own to another one, counts bytes, and can be cut."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._up = threading.Event()
        self._up.set()
        self._sockets: list[socket.socket] = []
        self.bytes = 0
        "Both ways."
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def cut(self, *, silent: bool = False) -> None:
        """Nothing passes any more. Silent: as when a dish loses its satellite, nobody is told."""
        self._up.clear()
        if not silent:
            self._drop()

    def mend(self) -> None:
        """Carry again. Connections from before a silent cut are gone by then."""
        self._drop()
        self._up.set()

    def close(self) -> None:
        self._listener.close()
        self._drop()

    def _drop(self) -> None:
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._up.is_set():
                    self._sockets.append(near)  # taken, and never answered
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._to_port), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._up.is_set():
                    self.bytes += len(data)
                    sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
