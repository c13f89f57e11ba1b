"""The duty cycle holds for what the base sends, too, and over its restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gvc_base.backchannel import BaseBackChannel
from gvc_base.regions import RegionFiles
from gvc_profiles import load
from gvc_profiles.airtime_ledger import KeptLedger
from gvc_profiles.links import LinkState
from gvc_profiles.params import link_params
from gvc_protocol.events import SessionStarted, TurnGiven
from gvc_protocol.params import MS, SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.reports import Reception

HEARD = Reception(
    boot_id=1, highest_seq=9, heard_ns=0, received=10, lost=0, bursts=0, repaired=0, whole=1,
    degraded=0,
)  # fmt: skip
HOUR = 3600 * SECOND


def fly(folder: Path, start: int, end: int, notes: list[str]) -> int:
    """Turns every 5 s on a profile of 1 %: packets that the base sent."""
    profile = load("ebyte-e22-eu868")
    ledger = KeptLedger(profile, folder, start)
    back = BaseBackChannel(
        link_params(profile, bps=None, fec="auto"), boot_id=1, key=None, mode="windows",
        listen_ms=profile.listen_ms, reception=lambda _s, _b: HEARD, waiting=lambda: 0,
        note=lambda _now, kind, _about: notes.append(kind), say=lambda _: None,
        regions=RegionFiles(folder / "m.db"), ledger=ledger,
        radio=lambda: LinkState(rssi_dbm=-90, noise_dbm=-110),
    )  # fmt: skip
    back.event(SessionStarted(stream_id=1, boot_id=1, now=start))
    sent = 0
    for now in range(start, end, 5 * SECOND):
        back.event(TurnGiven(stream_id=1, boot_id=1, now=now))
        for later in range(0, 2 * SECOND, SECOND // 4):
            sent += len(back.packets(now + later))
    assert ledger.used_share(end) <= 1
    ledger.close()
    return sent


def test_the_base_obeys_the_duty_cycle_over_restarts(tmp_path: Path) -> None:
    notes: list[str] = []
    free = fly(tmp_path / "free", 10 * HOUR, 10 * HOUR + 3000 * SECOND, notes)
    assert free > 100 and "radio" in notes
    # With most of the hour's air time spent before the restart, little is left after it.
    ledger = KeptLedger(load("ebyte-e22-eu868"), tmp_path / "spent", 10 * HOUR)
    while ledger.used_share(10 * HOUR) < 0.98:
        ledger.spend(200, 10 * HOUR)
    ledger.close()
    assert fly(tmp_path / "spent", 10 * HOUR, 10 * HOUR + 3000 * SECOND, notes) < free / 10


def test_what_is_said_in_a_window_is_said_twice_where_much_is_lost(tmp_path: Path) -> None:
    profile = load("ebyte-e22-us915")
    params, heard = link_params(profile, bps=None, fec="auto"), [HEARD]
    back = BaseBackChannel(
        params, boot_id=1, key=None, mode="windows", listen_ms=profile.listen_ms,
        reception=lambda _s, _b: heard[0], waiting=lambda: 0, note=lambda *_: None,
        say=lambda _: None, regions=RegionFiles(tmp_path / "m.db"),
    )  # fmt: skip
    back.event(SessionStarted(stream_id=1, boot_id=1, now=SECOND))
    said = []
    for turn, lost in enumerate((0, 1, 20), 2):
        heard[0] = replace(HEARD, received=100 * turn, lost=lost)
        back.event(TurnGiven(stream_id=1, boot_id=1, now=turn * SECOND))
        edge = LinkReceiver(params, from_base=True)
        packets = [p for ms in range(0, 900, 50) for p in back.packets(turn * SECOND + ms * MS)]
        for packet in packets:
            edge.receive(packet, turn * SECOND)
        events = []
        while (event := edge.next_event()) is not None:
            events.append(event)
        # Each copy ends the turn: one of them is enough.
        assert sum(isinstance(e, TurnGiven) for e in events) == len(packets)
        said.append(len(packets))
    assert said == [1, 1, 2]
