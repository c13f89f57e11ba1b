"""Two Reticulum nodes over loopback UDP, a process each: our packets both ways over its link."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("RNS")

CONFIG = """[reticulum]
enable_transport = no
share_instance = no
[logging]
loglevel = 1
[interfaces]
[[loop]]
type = UDPInterface
enabled = yes
listen_ip = 127.0.0.1
listen_port = {mine}
forward_ip = 127.0.0.1
forward_port = {other}
"""
BASE = """
import sys
from gvc_profiles import load
from gvc_profiles.links import open_link
link = open_link(f"rns:listen?config={sys.argv[1]}", load("reticulum"), listen=True)
print(link.destination_hash, flush=True)
got = []
while len(got) < 5:
    got += [r.data for r in link.receive(0.2)]
link.send(b"answer")
print(sorted(got) == [bytes([i]) * 400 for i in range(5)], flush=True)
sys.stdin.read()
"""
EDGE = """
import sys, time
from gvc_profiles import load
from gvc_profiles.links import open_link
link = open_link(f"rns:{sys.argv[2]}?config={sys.argv[1]}", load("reticulum"), listen=False)
link.reopen()
for i in range(5):
    link.send(bytes([i]) * 400)
end = time.monotonic() + 20
got = []
while not got and time.monotonic() < end:
    got = link.receive(0.2)
print([r.data for r in got], flush=True)
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_two_nodes(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    for name, mine, other in (("base", *ports), ("edge", *reversed(ports))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config").write_text(CONFIG.format(mine=mine, other=other))
    base = subprocess.Popen(
        [sys.executable, "-c", BASE, str(tmp_path / "base")], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert base.stdin is not None and base.stdout is not None
    try:
        address = base.stdout.readline().strip()
        edge = subprocess.run(
            [sys.executable, "-c", EDGE, str(tmp_path / "edge"), address],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert edge.stdout.strip().endswith("[b'answer']"), edge.stderr
        assert base.stdout.readline().strip() == "True"
    finally:
        base.kill()
        base.wait()
