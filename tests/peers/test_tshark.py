"""What came through a real modem, written as a capture, is read by our dissector as datagrams."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gvc_protocol.pcap import Record, pack_file_header, pack_record
from tests.peers.direwolf_air import direwolf_missing
from tests.peers.flight import fly
from tests.peers.modem_cases import CASES
from tests.peers.proxy_model import Recorder

SCRIPT = Path(__file__).resolve().parents[2] / "protocol" / "dissector" / "gvc.lua"


def test_every_packet_that_a_tnc_handed_over_is_a_datagram_to_tshark(tmp_path: Path) -> None:
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed (.ci/run installs it)")
    if why := direwolf_missing():
        pytest.skip(why)
    case = next(c for c in CASES if c.name == "AX.25 1200")
    modem = Recorder(case.modem(-1, 1))
    flight = fly(case.params(), case.made(), modem)
    path = tmp_path / "air.pcap"
    path.write_bytes(
        pack_file_header()
        + b"".join(pack_record(Record(time_ns=i, data=d)) for i, d in enumerate(modem.got))
    )
    own = {"HOME": str(tmp_path), "WIRESHARK_CONFIG_DIR": str(tmp_path), "LC_ALL": "C"}
    command = [program, "-X", f"lua_script:{SCRIPT}", "-r", str(path), "-T", "fields"]
    said = subprocess.run(
        [*command, "-e", "gvc.status"], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, **own},
    ).stdout.split()  # fmt: skip
    if not said:
        pytest.skip("this tshark runs no Lua script (built without it, or off for the superuser)")
    assert 0 < flight.packets_arrived < flight.packets_sent
    assert said == ["DATAGRAM"] * flight.packets_arrived
