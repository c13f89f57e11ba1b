"""Decoding beyond one process: `gvc-base run --workers`.

    link -> receiver -> archive         stay in the base's own process
    unit + state of its decoder -> worker -> marked frames + state after the unit

After every unit the base holds all that the decoder remembers, so that any worker, or the base itself,
goes on from there with the same pictures; a worker keeps nothing that is needed twice. What carries it
(dask.distributed) is loaded by `make_pool` only. docs/workers.md has the design and its dangers.
"""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.workers.session import DecoderPlan
    from gvc_protocol.codec import DecodedFrame, ReceivedUnit, UnitSpan

__all__ = ["Place", "PlaceLostError", "WorkerPool", "WorkersSpec", "make_pool"]

_TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
_MOST_LOCAL = 64


class PlaceLostError(Exception):
    """The worker is gone, or gave no usable answer; the text says why."""


class Place(Protocol):
    """One camera's decoder on one worker."""

    open: bool
    "False once it is lost or left."

    @property
    def plan(self) -> DecoderPlan:
        """What it decodes."""

    @property
    def name(self) -> str:
        """The worker, for the operator."""

    @property
    def label(self) -> str:
        """See `UnitDecoder.label`; known after the first frame."""

    @property
    def checkpoint(self) -> bytes:
        """The decoder after the last unit that was given to its end."""

    def frames(self, unit: ReceivedUnit, span: UnitSpan, *, skip: int) -> Iterator[DecodedFrame]:
        """The unit's frames in order, without the first `skip`.

        Raises:
            PlaceLostError: the worker is lost, or could not decode it.
        """


class WorkerPool(Protocol):
    """The workers of a base. Thread-safe."""

    @property
    def problem(self) -> str:
        """What is wrong now, in a line for the operator; empty while nothing is."""

    def place(self, plan: DecoderPlan, checkpoint: bytes | None) -> Place | None:
        """A place on the worker with the fewest cameras, or None where no worker can be reached.

        Args:
            checkpoint: where the decoder goes on; None for one that has decoded nothing yet.
        """

    def leave(self, place: Place) -> bool:
        """Whether another worker has at least two cameras less than this place's; it is closed then."""

    def close(self) -> None:
        """Let the workers go; those that the base started end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersSpec:
    """Where the workers are."""

    local: int = 0
    "Processes that the base starts itself, or 0."
    host: str = ""
    port: int = 0
    "Of a scheduler that runs already."
    tls: Path | None = None
    "Folder with ca.pem, cert.pem and key.pem; the other side has to hold a certificate of the same CA."

    @property
    def url(self) -> str:
        """As the operator writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"local:{self.local}" if self.local else f"dask://{host}:{self.port}"

    @property
    def address(self) -> str:
        """The scheduler's, as dask writes it."""
        return self.url.replace("dask://", "tcp://" if self.tls is None else "tls://")

    @classmethod
    def parse(
        cls, text: str, *, tls: Path | None = None, insecure: bool = False, option: str = "--workers-"
    ) -> WorkersSpec:  # fmt: skip
        """`local:N` or `dask://HOST:PORT`.

        Args:
            tls: folder with the certificates. insecure: the operator takes the danger of none.
            option: what the options of these two begin with.

        Raises:
            UserError: it is neither; a file is missing; or whoever reaches the scheduler could run
                programs here, since it is not on this computer and has no TLS.
        """
        kind, _, rest = text.partition(":")
        if kind == "local" and rest.isascii() and rest.isdigit() and 1 <= int(rest) <= _MOST_LOCAL:
            if tls is not None:
                raise UserError(f"{option}tls is for dask://; local workers have their own")
            return cls(local=int(rest))
        host, colon, port = rest.removeprefix("//").rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        usable = port.isascii() and port.isdigit() and 0 < int(port) < 65536
        if kind != "dask" or not rest.startswith("//") or not colon or not host or not usable:
            raise UserError(
                f"--workers {text} is not known; give local:N (1 to {_MOST_LOCAL}) or dask://HOST:PORT"
            )
        _check_reach(host, tls, insecure, option)
        return cls(host=host, port=int(port), tls=tls)


def _check_reach(host: str, tls: Path | None, insecure: bool, option: str) -> None:
    """Refuse what would let a stranger run programs here.

    Raises:
        UserError: no TLS beyond this computer, or its files are not there.
    """
    if tls is None and not insecure and not is_loopback(host):
        raise UserError(
            f"whoever reaches a dask scheduler on {host} can run programs on it, on its workers and "
            f"on the base: give {option}tls FOLDER (`gvc-base workers tls FOLDER` makes one), or "
            f"{option}insecure where nobody else is on that network"
        )
    missing = [n for n in _TLS_FILES if tls is not None and not (tls / n).is_file()]
    if missing:
        raise UserError(
            f"{tls} has no {', '.join(missing)}; `gvc-base workers tls FOLDER` makes all three"
        )


def is_loopback(host: str) -> bool:
    """Whether it names this computer and nobody else can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def need_distributed() -> None:
    """Raises UserError where the extra is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise UserError("decode workers need dask.distributed: pip install 'gvc-field[workers]'")


def make_pool(spec: WorkersSpec, say: Callable[[str], None]) -> WorkerPool:
    """The workers; they may come later, or never. Returns at once.

    Args:
        say: told in a line when they are lost and when they are back.

    Raises:
        UserError: what they need is not installed.
    """
    need_distributed()
    from gvc_base.workers.dask_pool import DaskPool

    return DaskPool(spec, say)
