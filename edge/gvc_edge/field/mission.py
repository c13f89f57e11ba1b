"""One mission from settings to report: everything opened in order, waited for, and closed again.

    settings -> key, rate -> camera (waits) -> radio (waits) -> boot number -> LiveRun

The boot number is taken last: tries that end before there is anything to send cost none.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from gvc_edge.address import without_login
from gvc_edge.field.board import Board
from gvc_edge.field.doctor import is_running
from gvc_edge.field.settings import RunSettings
from gvc_edge.field.waiting import StoppedWaiting, wait_for
from gvc_edge.live import LiveRun
from gvc_edge.paced import PcapLink
from gvc_edge.pipeline import Pipeline, long_units_line, make_pipeline
from gvc_edge.place.watch import PlaceWatch, open_place
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource, open_source
from gvc_edge.state import PcapFile, Spool, default_state_dir, next_boot_id
from gvc_edge.status import MissionFacts, MissionStatus, Watcher
from gvc_edge.way_back import BackOptions
from gvc_profiles import load
from gvc_profiles.airtime_ledger import KeptLedger, make_ledger
from gvc_profiles.clock import steady_clock
from gvc_profiles.keys import link_key
from gvc_profiles.links import ByteLink, open_link
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.auth import LinkKey, auth_label
from gvc_protocol.errors import AwayError, UserError
from gvc_protocol.params import LinkParams

__all__ = ["Teller", "fly"]

T = TypeVar("T")


class Teller(Protocol):
    """Who tells the operator: what is known lies on its board."""

    @property
    def board(self) -> Board: ...

    def say(self, line: str) -> None: ...

    def changed(self) -> None:
        """Something is new on the board. Called in the mission's loop: it may not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is known before anything is opened."""

    settings: RunSettings
    profile: LinkProfile
    key: LinkKey | None
    params: LinkParams
    folder: Path


def fly(settings: RunSettings, teller: Teller, *, seconds: float | None = None) -> SendReport:
    """Send until the source ends or a signal (SIGINT, SIGTERM) asks for the end.

    Raises:
        UserError: a setting is wrong, or what it names cannot be used.
    """
    plan, stop = _plan(settings), threading.Event()
    place = open_place(settings.place, teller.say) if settings.place else None
    report = SendReport(rate_bps=plan.params.rate_bps, fec_percent=plan.params.fec_percent)
    report.note_key(plan.key, encrypted=plan.params.encrypted)
    teller.board.facts(_first_facts(plan))
    stops: list[Callable[[], None]] = [stop.set]
    with _signals(lambda: [ask() for ask in list(stops)]), ExitStack() as stack:
        if place is not None:
            stack.callback(place.close)
        try:
            source = _open_camera(plan, teller, stop, seconds)
            stack.callback(source.close)
            pipeline = _pipeline(plan, source, teller)
            radio = _open_radio(plan, teller, stop)
            stack.callback(radio.close)
        except StoppedWaiting:
            teller.say("stopped before anything was sent")
        else:
            mission = _mission(plan, pipeline, source, radio, teller, stack, place)
            stops.append(mission.stop)
            if stop.is_set():  # it came while the mission was made
                mission.stop()
            report = mission.run()
    report.profile, report.out = plan.profile.id, settings.link
    return report


def _plan(settings: RunSettings) -> _Plan:
    profile = load(settings.profile)
    key_path = Path(settings.key) if settings.key else None
    secret = link_key(key_path, encrypt=settings.encrypt, profile=profile)
    if not 0 <= settings.stream <= 0xFFFF:
        raise UserError(f"--stream {settings.stream} is out of range; give 0 to 65535")
    params = link_params(
        profile, bps=settings.bps, fec=settings.fec, tagged=secret is not None,
        encrypted=settings.encrypt,
    )  # fmt: skip
    folder = Path(settings.state) if settings.state else default_state_dir()
    return _Plan(settings=settings, profile=profile, key=secret, params=params, folder=folder)


def _open_camera(
    plan: _Plan, teller: Teller, stop: threading.Event, seconds: float | None
) -> FrameSource:
    def opening() -> FrameSource:
        return open_source(
            plan.settings.source, start_us=time.time_ns() // 1000, seconds=seconds,
            crop_even=plan.settings.crop_even, on_drop=teller.say,
        )  # fmt: skip

    return _patiently("camera", opening, plan, teller, stop)


def _open_radio(plan: _Plan, teller: Teller, stop: threading.Event) -> ByteLink | PcapLink:
    url = plan.settings.link
    if url.startswith("file:"):
        return PcapLink(PcapFile(Path(url.removeprefix("file:"))), steady_clock())
    return _patiently(
        "radio", lambda: open_link(url, plan.profile, listen=False), plan, teller, stop
    )


def _patiently(
    what: str, opening: Callable[[], T], plan: _Plan, teller: Teller, stop: threading.Event
) -> T:
    def trying() -> T:
        try:
            return opening()
        except UserError as error:
            if not is_running(plan.folder):
                raise
            here = f"a gvc-edge runs here already, with {plan.folder}: is it the service?"
            raise type(error)(f"{error}; {here}") from None

    def away(why: str) -> None:
        teller.board.waiting(what, why)
        teller.changed()

    if plan.settings.wait:
        return wait_for(what, trying, stop=stop, say=teller.say, on_away=away)
    try:
        return trying()
    except AwayError as error:
        raise UserError(str(error)) from None


def _pipeline(plan: _Plan, source: FrameSource, teller: Teller) -> Pipeline:
    s = plan.settings
    pipeline = make_pipeline(
        source, plan.profile.id, plan.params, latency=s.latency, codec=s.codec, objects=s.objects,
        live=True, verify=s.verify,
    )  # fmt: skip
    if line := long_units_line(pipeline, s.latency, pipeline.params.rate_bps):
        teller.say(line)
    return pipeline


def _facts(plan: _Plan, source: FrameSource, pipeline: Pipeline, boot_id: int) -> MissionFacts:
    info = source.info
    return replace(
        _first_facts(plan), boot=boot_id, ceiling_bps=pipeline.params.rate_bps, source=info.name,
        size=(info.width, info.height), fps=float(info.fps), unit_s=pipeline.unit_s,
    )  # fmt: skip


def _first_facts(plan: _Plan) -> MissionFacts:
    """What is known while camera and radio are still waited for."""
    s, profile = plan.settings, plan.profile
    return MissionFacts(
        stream=s.stream, profile=profile.id, radio=profile.title, link=s.link,
        two_way=profile.backchannel != "none" and not s.link.startswith("file:"),
        windows=profile.backchannel == "windows", ceiling_bps=plan.params.rate_bps,
        label=auth_label(plan.key.fingerprint if plan.key else ""), encrypted=s.encrypt,
        source=without_login(s.source),
    )  # fmt: skip


def _mission(
    plan: _Plan, pipeline: Pipeline, source: FrameSource, radio: ByteLink | PcapLink,
    teller: Teller, stack: ExitStack, place: PlaceWatch | None,
) -> LiveRun:  # fmt: skip
    s, profile, folder = plan.settings, plan.profile, plan.folder
    boot_id = next_boot_id(folder, plan.key, Path(s.key) if s.key else None)
    spool = Spool(folder / "spool", boot_id, limit_bytes=s.spool_mib << 20)
    ledger = None
    if make_ledger(profile) is not None:
        ledger = KeptLedger(profile, folder, steady_clock()(), teller.say)
        stack.callback(ledger.close)
    teller.board.facts(_facts(plan, source, pipeline, boot_id))

    def tick(look: MissionStatus) -> None:
        teller.board.tick(look)
        teller.changed()

    hidden = ", encrypted" if s.encrypt else ""
    trust = f"{auth_label(plan.key.fingerprint if plan.key else '')}{hidden}"
    teller.say(f"sending on {s.link}, stream {s.stream}, boot {boot_id}, {trust}")
    return LiveRun(
        source, pipeline, pipeline.params, radio, spool, stream_id=s.stream, boot_id=boot_id,
        say=teller.say, key=plan.key, ledger=ledger, place=place,
        watcher=Watcher(tick=tick, note=teller.board.note),
        back=BackOptions(
            mode=profile.backchannel, listen_ms=profile.listen_ms,
            turnaround_ms=profile.turnaround_ms, adapt=s.adapt, state_dir=folder,
            pictures_bytes=s.pictures_mib << 20,
            replay=None if plan.key is None else ReplayStore(folder, plan.key),
        ),
    )  # fmt: skip


@contextmanager
def _signals(asked: Callable[[], object]) -> Iterator[None]:
    """SIGINT and SIGTERM ask for the end; afterwards they do what they did before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set them (tests run missions in others)
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: asked()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
