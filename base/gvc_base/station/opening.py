"""From what the operator gave to a base that is ready to run: keys, radios, air time, archive.

Everything that can be wrong is told before the first byte is received.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from gvc_base.archive import Archive
from gvc_base.archive_seal import signer_or_say
from gvc_base.station.base import LiveBase
from gvc_base.station.commits import GroupCommit
from gvc_base.station.events import EventList
from gvc_base.station.queues import DecodeBudget
from gvc_base.station.shared import LinkSetup, Shared, StationOptions
from gvc_base.truth_score import RunningScore, read_scores
from gvc_base.workers import make_pool
from gvc_profiles.airtime_ledger import KeptLedger, make_ledger
from gvc_profiles.boots import next_boot_id
from gvc_profiles.clock import steady_clock
from gvc_profiles.keys import link_key
from gvc_profiles.links import ByteLink, open_link
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.params import LinkParams

__all__ = ["BasePlan", "open_base"]

_Air = dict[str, tuple[KeptLedger, threading.Lock]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BasePlan:
    """What is to run."""

    radios: Sequence[tuple[str, LinkProfile]]
    "Link URL and profile of each."
    archive: Path
    folder: Path
    "Of the boot counter, the replay window, air time and the signing key."
    options: StationOptions
    key_path: Path | None = None
    encrypt: bool = False


def open_base(
    stack: ExitStack, plan: BasePlan, say: Callable[[str], None],
    on_ack: Callable[[int, int], None] = lambda _row, _count: None,
) -> LiveBase:  # fmt: skip
    """A base with all its links open; the stack closes them and the archive.

    Raises:
        UserError: a key, radio, folder or archive cannot be used as it is wanted.
    """
    key: LinkKey | None = None
    for _, profile in plan.radios:  # each has to allow what is wanted
        key = link_key(plan.key_path, encrypt=plan.encrypt, profile=profile)
    params = [_params(plan, url, profile, key) for url, profile in plan.radios]
    # With a key every start is counted: what this base sends must never repeat a number.
    boots = [None if key is None else _boot(plan, key) for _ in plan.radios]
    replay = None if key is None else ReplayStore(plan.folder, key)
    links: list[ByteLink] = []
    for url, profile in plan.radios:
        links.append(open_link(url, profile, listen=True))
        stack.callback(links[-1].close)
    now = steady_clock()
    air: _Air = {}
    _one_profile_a_band([profile for _, profile in plan.radios])
    for _, profile in plan.radios:
        _keep_air(stack, air, plan.folder, profile, now(), say)
    archive = Archive.create_or_open(
        plan.archive, on_health=say, signer=signer_or_say(plan.folder, say)
    )
    stack.callback(archive.close)
    setups = []
    for number, (url, profile) in enumerate(plan.radios):
        session, boot = _session(archive, url, profile, params[number], key, now()), boots[number]
        if replay is not None:
            archive.record_replay_state(session, now(), replay.guard)
            archive.record_event(session, now(), "base_boot", {"boot_id": boot})
        ledger, lock = air.get(profile.legal.subband, (None, nullcontext()))
        if profile.backchannel == "none":
            ledger = None
        setups.append(
            LinkSetup(
                number=number, url=url, profile=profile, link=links[number], params=params[number],
                session_id=session, ledger=ledger, air=lock,
                # Without a key nothing hangs on it, but a restart should not look like a repeat.
                boot_id=(now() // 10**9 + number) & 0xFFFF if boot is None else boot,
            )
        )  # fmt: skip
    workers = None if plan.options.workers is None else make_pool(plan.options.workers, say)
    if workers is not None:
        stack.callback(workers.close)
    shared = Shared(
        archive=archive, commits=GroupCommit(archive), options=plan.options, events=EventList(now),
        budget=DecodeBudget(plan.options.decoders), say=say, now=now, key=key,
        workers=workers,
        guard=None if replay is None else replay.guard, alone=len(setups) == 1,
        scores=_scores(archive.path, say),
    )  # fmt: skip
    return LiveBase(shared, setups, replay=replay, on_ack=on_ack)


def _params(plan: BasePlan, url: str, profile: LinkProfile, key: LinkKey | None) -> LinkParams:
    return link_params(
        profile, bps=None, fec="auto", packets=url.startswith("udp:"), tagged=key is not None,
        encrypted=plan.encrypt,
    )  # fmt: skip


def _scores(path: Path, say: Callable[[str], None]) -> RunningScore:
    """Of the mission so far, where the base goes on in its archive."""
    try:
        return read_scores(path)
    except UserError as error:
        say(f"the running score begins anew: {error}")
        return RunningScore()


def _boot(plan: BasePlan, key: LinkKey) -> int:
    return next_boot_id(plan.folder, key, plan.key_path)


def _keep_air(
    stack: ExitStack, air: _Air, folder: Path, profile: LinkProfile, now: int,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """One ledger a sub-band, whatever the number of radios in it: so the law counts."""
    band = profile.legal.subband
    if band in air or make_ledger(profile) is None or profile.backchannel == "none":
        return
    ledger = KeptLedger(profile, folder, now, say)
    stack.callback(ledger.close)
    air[band] = (ledger, threading.Lock())


def _one_profile_a_band(profiles: Sequence[LinkProfile]) -> None:
    """Air time is counted by what a profile's packets take; a ledger knows one."""
    of_band: dict[str, str] = {}
    for profile in profiles:
        if make_ledger(profile) is None or profile.backchannel == "none":
            continue
        other = of_band.setdefault(profile.legal.subband, profile.id)
        if other != profile.id:
            raise UserError(
                f"{other} and {profile.id} send in {profile.legal.subband} and could not count their "
                "air time together; use one profile for both radios, or two bases with a --state each"
            )


def _session(
    archive: Archive, url: str, profile: LinkProfile, params: LinkParams, key: LinkKey | None,
    now: int,
) -> int:  # fmt: skip
    return archive.start_session(
        link_url=url, profile_id=profile.id, params=params, now_ns=now,
        key_fingerprint="" if key is None else key.fingerprint,
    )  # fmt: skip
