"""`gvc-base workers`: what runs on the computers that decode for a base. Thin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.workers import WorkersSpec

__all__ = ["workers_app"]

workers_app = typer.Typer(
    name="workers", no_args_is_help=True,
    help="Processes that decode for a base, on this computer or others (docs/workers.md).",
)  # fmt: skip

TlsOption = Annotated[
    Path | None, typer.Option("--tls", help="Folder of certificates; `gvc-base workers tls`.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Beyond this computer without TLS.")
]
Address = Annotated[str, typer.Argument(help="dask://HOST:PORT of the scheduler.")]


@workers_app.command()
def tls(
    folder: Annotated[Path, typer.Argument(help="Folder to write; a copy for each computer.")],
) -> None:
    """Make the certificates that base, scheduler and workers know each other by."""
    from gvc_base.workers.certificates import make_certificates

    make_certificates(folder)
    _say(f"{folder} made; copy it to each computer as you copy a link key")


@workers_app.command()
def scheduler(
    address: Address = "dask://127.0.0.1:8786",
    tls: TlsOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Run the scheduler that tells a base which workers there are."""
    spec = _spec(address, tls, insecure)
    from gvc_base.workers.serve import schedule

    schedule(spec, _say)


@workers_app.command()
def join(
    address: Address,
    processes: Annotated[
        int, typer.Option("--processes", help="At most a processor core each.")
    ] = 1,
    tls: TlsOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Decode for the base that asks this scheduler, until Ctrl-C.

    gvc-base workers join dask://base.local:8786 --tls workers-tls --processes 4
    """
    spec = _spec(address, tls, insecure)
    if not 1 <= processes <= 64:
        raise UserError(f"--processes {processes} cannot be; give 1 to 64")
    from gvc_base.workers.serve import join

    join(spec, processes, _say)


def _spec(address: str, tls: Path | None, insecure: bool) -> WorkersSpec:
    from gvc_base.workers import WorkersSpec, need_distributed

    need_distributed()
    if not address.startswith("dask:"):
        raise UserError(f"{address} is no scheduler; give dask://HOST:PORT")
    return WorkersSpec.parse(address, tls=tls, insecure=insecure, option="--")


def _say(line: str) -> None:
    print(f"gvc-base: {line}", file=sys.stderr, flush=True)
