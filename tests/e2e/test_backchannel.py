"""The way back, with the real programs: asked for, obeyed once, answered with true pixels."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gvc_base.asks import ask
from gvc_base.channel import Channel, ChannelSpec
from gvc_base.proxy import RadioProxy
from gvc_base.video import read_video
from gvc_edge.sources import open_source
from gvc_profiles import load
from gvc_protocol.errors import UserError
from tests.e2e.conftest import Ran
from tests.e2e.programs import FPS, Started, port_of, start_base, start_edge, wait_for

BOX = (48, 24, 64, 48)


def true_pixels(scene: Path, frame_no: int) -> Any:
    source = open_source(str(scene), start_us=0, seconds=None, crop_even=False)
    try:
        frame = next(f for f in source.frames() if f.frame_no == frame_no)
    finally:
        source.close()
    x, y, w, h = BOX
    return frame.pixels[y : y + h, x : x + w]


def psnr(a: Any, b: Any) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def test_a_mission_with_a_key(
    tmp_path: Path, key: Path, scene: Path, start: Started, base: Callable[..., Ran]
) -> None:
    import cv2

    archive = tmp_path / "m.db"
    running = start_base(start, tmp_path, "--profile", "udp", "--key", key)
    port = port_of(tmp_path)
    link = f"udp://127.0.0.1:{port}"
    edge = start_edge(
        start, scene, tmp_path, link, "--profile", "udp", "--bps", 60_000, "--key", key
    )
    wait_for(tmp_path / "edge.log", "adapting to the link")
    assert stat.S_IMODE((tmp_path / "m.db.sock").stat().st_mode) == 0o600

    asked = base("ask", "keyframe", "--archive", archive, "--wait", 20, "--json")
    assert asked.json["state"] == "done", asked.out
    wait_for(tmp_path / "edge.log", "asks for a keyframe")
    # The others without a process each.
    said = ask(archive, {"ask": "text", "text": "zurück\x1b zum Dach"}, wait_s=20)
    assert said[1] == "done"
    wait_for(tmp_path / "edge.log", "zurück  zum Dach")
    assert ask(archive, {"ask": "rate", "bps": 10**6}, wait_s=20)[1] == "refused"
    assert ask(archive, {"ask": "mode", "finest": 1, "coarsest": 3}, wait_s=20)[1] == "done"

    unit = int(wait_for(tmp_path / "base.log", ": whole").split("unit ")[1].split(" ")[0])
    box = ",".join(map(str, BOX))
    region = base(
        "ask", "region", box, "--unit", unit, "--archive", archive, "--wait", 40, "--json"
    )
    assert region.json["state"] == "done", region.out
    (png,) = (tmp_path / "m.regions").glob("*.png")
    about = json.loads(png.with_suffix(".json").read_text())
    assert about["pixels"] == "received" and (about["x"], about["y"]) == BOX[:2]
    frame_no = about["unit"] * FPS + about["frame"]
    truth = true_pixels(scene, frame_no)
    assert psnr(cv2.imread(str(png)), truth) >= 35  # 4:2:0 costs the colour edges
    missing = {"ask": "region", "box": BOX, "unit": 900}
    assert ask(archive, missing, wait_s=20)[1] == "no picture"

    # The base is killed in mid-mission, and goes on in the same archive; so is the edge.
    running.kill()
    running.wait()
    running = start_base(start, tmp_path, "--profile", "udp", "--key", key, link=link)
    _until_it_runs(archive)
    edge.kill()
    edge.wait()
    edge = start_edge(
        start, scene, tmp_path, link, "--profile", "udp", "--bps", 60_000, "--key", key
    )
    boot = about["boot"]
    wait_for(
        tmp_path / "base.log", f"boot {boot + 2}: heard"
    )  # the base's second start counts, too
    # A picture of the boot before, from what is left on the edge's disk.
    old = {"ask": "region", "box": BOX, "unit": unit, "boot": boot}
    assert ask(archive, old, wait_s=40)[1] == "done"
    edge.send_signal(signal.SIGINT)
    edge.wait(timeout=30)
    running.send_signal(signal.SIGINT)
    running.wait(timeout=60)
    assert not (tmp_path / "m.db.sock").exists()
    assert _events(archive, "clock") and _events(archive, "region_answer")

    out = base("decode", archive, "--out", tmp_path / "v.mp4", "--key", key, "--boot", boot,
               "--quality", "preview", "--json", "--clean")  # fmt: skip
    assert out.code == 0, out.err
    assert any("truth came for" in note for note in out.json["notes"])
    with np.load(tmp_path / "v.marks.npz") as marks:
        mark = marks["mark"][frame_no]
        x, y, w, h = (v // 8 for v in BOX)
        assert not mark[y : y + h, x : x + w].any()
    shown = next(f for i, f in enumerate(read_video(tmp_path / "v.mp4")) if i == frame_no)
    x, y, w, h = BOX
    assert psnr(shown[y : y + h, x : x + w], truth) >= 28


def _until_it_runs(archive: Path) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(UserError):
            assert ask(archive, {"ask": "keyframe"}, wait_s=30)[1] == "done"
            return
        assert time.monotonic() < end
        time.sleep(0.2)


def _events(archive: Path, kind: str) -> list[Any]:
    with sqlite3.connect(f"file:{archive}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT detail FROM events WHERE kind = ?", (kind,)).fetchall()
    return [json.loads(row[0]) for row in rows]


def test_without_a_key_nobody_obeys(
    tmp_path: Path, scene: Path, start: Started, base: Callable[..., Ran]
) -> None:
    start_base(start, tmp_path, "--profile", "udp")
    start_edge(start, scene, tmp_path, f"udp://127.0.0.1:{port_of(tmp_path)}", "--profile", "udp",
               "--bps", 60_000)  # fmt: skip
    # Reports are taken, they move the setting within its limits only; commands are not even sent.
    wait_for(tmp_path / "edge.log", "adapting to the link")
    asked = base("ask", "keyframe", "--archive", tmp_path / "m.db")
    assert "without a key" in asked.error_line


def test_nobody_there(tmp_path: Path, base: Callable[..., Ran]) -> None:
    assert "no base runs" in base("ask", "keyframe", "--archive", tmp_path / "m.db").error_line
    wrong = base("ask", "region", "1,2,3", "--archive", tmp_path / "m.db")
    assert "X,Y,WIDTH,HEIGHT" in wrong.error_line


def test_through_a_half_duplex_radio(
    tmp_path: Path, key: Path, scene: Path, start: Started, base: Callable[..., Ran]
) -> None:
    """A serial radio that does one thing at a time and loses a packet in ten."""
    profile = load("sik-64")
    assert profile.duplex == "half"
    spec = ChannelSpec(loss=0.1, burst=1, ber=0, slip=0, dup=0, reorder=0, seed=7)
    proxy = RadioProxy(replace(profile), Channel(spec))
    edge_link, base_link = proxy.start()
    try:
        start_base(start, tmp_path, "--profile", "sik-64", "--key", key, link=base_link)
        wait_for(tmp_path / "base.log", "listening")
        start_edge(start, scene, tmp_path, edge_link, "--profile", "sik-64", "--key", key)
        wait_for(tmp_path / "edge.log", "adapting to the link")
        assert ask(tmp_path / "m.db", {"ask": "keyframe"}, wait_s=40)[1] == "done"
    finally:
        proxy.stop()
