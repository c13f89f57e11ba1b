"""`gvc-base run`: any number of links into one archive, and the console beside it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_base.choices import (
    BackendOption,
    FovOption,
    GroundOption,
    ObjectsOption,
    QualityOption,
    SecondsOption,
    backend_of,
    checked_fov,
    quality_of,
)
from gvc_base.console_cli import ConsoleAddress, ConsoleOption, TokenOption
from gvc_base.post_cli import (
    PostCaOption,
    PostCredsOption,
    PostNameOption,
    PostOption,
    PostPlan,
)
from gvc_base.station import DEFAULT_FOV_DEG
from gvc_profiles import load
from gvc_profiles.boots import default_state_dir
from gvc_profiles.completion import complete_link, complete_profile
from gvc_profiles.keys_cli import EncryptOption, KeyOption
from gvc_profiles.links import UdpLink
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.station.opening import BasePlan

__all__ = ["run"]


def run(
    link: Annotated[
        list[str],
        typer.Option("--link", help="serial:/dev/ttyUSB0, udp://HOST:PORT, ...; once a radio.",
                     autocompletion=complete_link),
    ],
    profile: Annotated[
        list[str],
        typer.Option("--profile", "-p", help="Radio profile, or a .toml file; one, or one a link.",
                     autocompletion=complete_profile),
    ],
    archive: Annotated[Path, typer.Option("--archive", help="Mission archive (.db).")],
    quality: QualityOption = "preview",
    backend: BackendOption = "auto",
    stream: Annotated[
        int | None, typer.Option("--stream", help="Follow only this camera; default: all heard.")
    ] = None,
    console: ConsoleOption = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="No web console.")] = False,
    token: TokenOption = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="Newest picture; default: ARCHIVE.png.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="Live recording (.mp4), marks burned in.")
    ] = None,
    restream: Annotated[
        list[str] | None,
        typer.Option(
            "--restream", metavar="[DRONE=]mpegts://HOST:PORT",
            help="Marked video to QGroundControl, VLC, ATAK; or rtp://. Any number of times.",
        ),
    ] = None,
    post: PostOption = None,
    post_creds: PostCredsOption = None,
    post_ca: PostCaOption = None,
    post_name: PostNameOption = None,
    cot: Annotated[
        list[str] | None,
        typer.Option(
            "--cot", metavar="udp://HOST:PORT",
            help="Camera, footprint, objects to ATAK (Cursor on Target), e.g. udp://239.2.3.1:6969.",
        ),
    ] = None,
    queue_limit: Annotated[int, typer.Option("--queue", help="Units that may wait.")] = 8,
    objects: ObjectsOption = "movers",
    fov: FovOption = DEFAULT_FOV_DEG,
    ground: GroundOption = None,
    workers: Annotated[
        str | None, typer.Option("--workers", help="Who decodes: local:N or dask://HOST:PORT.")
    ] = None,
    workers_tls: Annotated[
        Path | None,
        typer.Option("--workers-tls", help="Folder of certificates for dask:// on other computers."),
    ] = None,
    workers_insecure: Annotated[
        bool, typer.Option("--workers-insecure", help="dask:// beyond this computer without TLS.")
    ] = False,
    seconds: SecondsOption = None,
    key: KeyOption = None,
    encrypt: EncryptOption = False,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of boot counter and replay window.")
    ] = None,
    acks: Annotated[bool, typer.Option("--acks", help="Print each committed archive row.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:  # fmt: skip
    """Receive a mission: store every byte, decode, mark, show all cameras in the web console.

    One radio: gvc-base run --link serial:/dev/ttyUSB0 -p sik-64 --archive mission.db

    Two radios: the same with two --link, and two --profile in their order where they differ.

    To QGroundControl or VLC beside it: --restream mpegts://192.168.1.20:5600 (docs/restream.md)

    To a command post beside it: --post nats://10.0.0.1:4222 --post-name ridge (docs/post.md)

    For a tablet: --console 0.0.0.0:8765; the token that it needs is printed.
    """
    from gvc_base.restream.start import RestreamPlan
    from gvc_base.station.opening import BasePlan, open_base
    from gvc_base.station.shared import StationOptions
    from gvc_base.station.view import LiveView
    from gvc_base.workers import WorkersSpec
    from gvc_profiles.sight.detector import load_detector

    options = StationOptions(
        quality=quality_of(quality), backend=backend_of(backend), queue_limit=max(1, queue_limit),
        stream_id=stream, snapshot=snapshot, record=record, fov_deg=checked_fov(fov), ground_m=ground,
        decoders=max(1, (os.cpu_count() or 2) // 2), detector=load_detector(objects),
        objects=objects,
        workers=None if workers is None else WorkersSpec.parse(
            workers, tls=workers_tls, insecure=workers_insecure
        ),
    )  # fmt: skip
    posting = PostPlan(post, post_creds, post_ca, post_name, archive, _say)
    onward = RestreamPlan.of(restream or (), cot or ())
    where = None if no_console else ConsoleAddress.of(console, token)
    plan = BasePlan(
        radios=_radios(link, profile), archive=archive, options=options, key_path=key,
        encrypt=encrypt, folder=state or default_state_dir("gvc-base"),
    )  # fmt: skip
    with ExitStack() as stack:
        posting.before_archive(stack)
        base = open_base(
            stack, plan, _say, lambda row, _: print(f"ack {row}", flush=True) if acks else None
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: base.stop())
        if where is not None:
            where.serve(stack, LiveView(base), _say)
        posting.start(base)
        onward.start(stack, LiveView(base), archive, _say)
        for one in base.links:
            setup, port = one.setup, getattr(one.setup.link, "port", None)
            name = f"udp port {port}" if isinstance(setup.link, UdpLink) else setup.url
            trust = base.shared.label
            _say(f"listening on {name}, profile {setup.profile.id}, {trust}, archive {archive}")
        report = base.run(seconds=seconds)
    report.out = str(archive)
    # Printed after the archive was closed: it is on disk then, and signed.
    print(report.as_json() if as_json else f"{archive}: {_kept(plan)}; {report.as_text()}")
    if not as_json:
        _say(f"to see it again: gvc-base replay {archive}")


def _kept(plan: BasePlan) -> str:
    from gvc_base.archive_seal import load_signer

    try:
        signer = load_signer(plan.folder, make=False)
    except UserError:
        signer = None
    return "closed, not signed" if signer is None else f"closed, signed by {signer.fingerprint}"


def _radios(links: Sequence[str], profiles: Sequence[str]) -> list[tuple[str, LinkProfile]]:
    if len(profiles) not in (1, len(links)):
        raise UserError(
            f"{len(links)} links and {len(profiles)} profiles; give one --profile for all, or one "
            "for each --link in the same order"
        )
    loaded = [load(name) for name in profiles]
    return list(
        zip(links, loaded if len(loaded) == len(links) else loaded * len(links), strict=True)
    )


def _say(line: str) -> None:
    print(f"gvc-base: {line}", file=sys.stderr, flush=True)
