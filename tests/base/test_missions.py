"""Missions: what is listed is what was recorded, and nothing goes that was not named before."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gvc_base.archive import Archive
from gvc_base.archive_seal import load_signer
from gvc_base.cli import app
from gvc_base.missions.facts import archives_in, read_facts
from gvc_base.missions.media import MadeFrom, file_facts, media_of, write_note
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND
from tests.replay.flown import BEGAN_NS, Flight, fly

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flood.db: two drones, one with losses, signed; bare.db: a record without derived rows."""
    folder = tmp_path_factory.mktemp("missions")
    signer = load_signer(folder / "state")
    other = Flight(units=6, stream_id=4, link_url="udp://0.0.0.0:2")
    fly(folder / "flood.db", Flight(units=24, lost_units=(11, 12, 18)), other, signer=signer)
    fly(folder / "bare.db", Flight(units=4, began_ns=BEGAN_NS + 40_000 * SECOND), derive=False)
    return folder


@pytest.fixture
def folder(flown: Path, tmp_path: Path) -> Path:
    for path in flown.glob("*.db"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Run:
    def made(*args: object) -> Result:
        return CliRunner().invoke(app, ["missions", *map(str, args)])

    return made


def listed(run: Run, *args: object) -> dict[str, dict[str, object]]:
    result = run("list", *args, "--json")
    assert result.exit_code == 0, result.output
    return {Path(row["archive"]).name: row for row in json.loads(result.stdout)["missions"]}


def contents(folder: Path) -> dict[str, bytes]:
    """Files and what is in them, without those that SQLite keeps beside an archive."""
    mine = (p for p in folder.iterdir() if not p.name.endswith(("-shm", "-wal")))
    return {p.name: p.read_bytes() for p in mine}


def noted(archive: Path, name: str) -> Path:
    """A video with its note, as `redecode` leaves them."""
    video = archive.with_name(f"{archive.stem}.{name}.mp4")
    video.write_bytes(name.encode() * 100)
    with closing(sqlite3.connect(archive)) as conn:
        last, chain = conn.execute("SELECT id, chain FROM datagrams ORDER BY id DESC").fetchone()
    made = MadeFrom(
        archive_id=read_facts(archive).archive_id, sessions=(1, 2), last_id=last, chain=chain.hex(),
        quality="preview", decoder="codec 0", model="", weights_sha256="", key="", made_us=1,
        software="test", files={video.name: file_facts(video)},
    )  # fmt: skip
    write_note(video.with_suffix(".json"), made)
    return video


def test_a_list_has_the_counts_of_the_flight(flown: Path, run: Run) -> None:
    rows = listed(run, flown)
    flood, bare = rows["flood.db"], rows["bare.db"]
    assert (flood["drones"], flood["whole"], flood["degraded"], flood["missing"]) == (2, 27, 0, 3)
    assert flood["record"] == "signed" and len(flood["signed_by"]) == 1  # type: ignore[arg-type]
    assert 22 < flood["seconds"] < 25 and flood["size_bytes"] > 50_000  # type: ignore[operator]
    assert bare["record"] == "not signed" and not bare["noted"]
    lines = run("list", flown).stdout.splitlines()
    assert len(lines) == 3 and lines[1].endswith("flood.db") and " ? " in lines[2]
    assert "not looked at" in run("list", flown, "--quick").stdout


def test_a_changed_row_is_listed_as_damaged(folder: Path, run: Run) -> None:
    with closing(sqlite3.connect(folder / "flood.db")) as conn:
        conn.execute("UPDATE datagrams SET source = 'x' WHERE id = 9")
        conn.commit()
    (folder / "broken.db").write_bytes((folder / "bare.db").read_bytes()[:5000])
    result = run("list", folder)
    assert "DAMAGED" in result.output and "bare.db" in result.output and result.exit_code == 0
    assert "datagram 9 was changed" in run("show", folder / "flood.db").output
    (folder / "notes.db").write_text("no archive at all")
    assert folder / "notes.db" not in archives_in(folder)


def test_two_missions_in_one_file_are_two_lines(tmp_path: Path, run: Run) -> None:
    key = LinkKey(bytes(range(32)))
    fly(
        tmp_path / "two.db",
        Flight(units=3),
        Flight(units=4, boot_id=8, began_ns=BEGAN_NS + 90_000 * SECOND),
    )
    (first, second) = read_facts(tmp_path / "two.db").missions
    assert (first.units()[0], second.units()[0]) == (3, 4) and not first.keys
    assert len(run("list", tmp_path).stdout.splitlines()) == 3
    with Archive.create_or_open(tmp_path / "empty.db") as archive:
        archive.start_session(
            link_url="l", profile_id="p", params=Flight().params, now_ns=1,
            key_fingerprint=key.fingerprint,
        )  # fmt: skip
        assert "being written" in run("list", tmp_path).stdout
    assert listed(run, tmp_path)["empty.db"]["start_us"] == 0
    assert "no datagram was ever received" in run("show", tmp_path / "empty.db").stdout


def test_show_tells_sessions_losses_links_and_events(flown: Path, run: Run) -> None:
    text = run("show", flown / "flood.db").stdout
    for words in (
        "record: signed, by key", "session 2: udp://0.0.0.0:2, profile udp, unauthenticated",
        "drone 0 (start 7): 21 units whole, 0 degraded, 3 missing", "losses: 2 stretches",
        "unit 11 to 12 of start 7, 2 of 2 missing", "weakest -90 dBm", "session_started 1",
        "nothing beside the archive",
    ):  # fmt: skip
        assert words in text, words
    assert "derives them from the record" in run("show", flown / "bare.db").stdout


def test_media_are_current_until_something_changes(folder: Path) -> None:
    archive = folder / "flood.db"
    video = noted(archive, "preview")
    shutil.copy(archive, folder / "flood.preview.more.db")  # another archive, with a longer name
    noted(folder / "flood.preview.more.db", "best")

    def state() -> tuple[str, str]:
        (media,) = media_of(read_facts(archive))
        assert set(media.paths) == {video, video.with_suffix(".json")}
        return media.state, media.why

    assert state() == ("current", "")
    whole = video.read_bytes()
    video.write_bytes(whole[:-1] + b"!")
    assert state() == ("stale", f"{video.name} was changed since")
    video.write_bytes(whole)
    with Archive.create_or_open(archive) as more:
        more.append(1, [(BEGAN_NS, "edge:1", b"later")])
    assert state() == ("stale", "1 datagrams came after it")
    shutil.copy(folder / "bare.db", archive)
    assert state() == ("stale", "made from another archive")


def test_prune_throws_away_media_and_no_record(folder: Path, run: Run) -> None:
    archive = folder / "flood.db"
    stale, good = noted(archive, "best"), noted(archive, "preview")
    stale.write_bytes(b"other")
    (folder / "flood.marks.npz").write_bytes(b"marks")
    (folder / "flood.mp4").write_bytes(b"video")
    (folder / "flood.txt").write_text("somebody's notes")
    before = contents(folder)
    shown = run("prune", folder)
    assert "nothing was deleted" in shown.stdout and str(good) in shown.stdout
    assert contents(folder) == before
    one = run("prune", folder, "--stale", "--yes")
    assert not stale.exists() and good.exists() and f"deleted {stale}" in one.stdout
    assert run("prune", folder, "--yes").exit_code == 0
    assert set(contents(folder)) == {"flood.db", "bare.db", "flood.txt"}
    assert "nothing to throw away" in run("prune", folder).stdout


def test_whole_missions_go_by_age_and_number_and_never_a_running_one(
    folder: Path, run: Run
) -> None:
    video, old = noted(folder / "flood.db", "preview"), time.time() - 50 * 86_400
    # Times of the record lie in the future of this test; those of the file are what is left.
    for path in folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("UPDATE datagrams SET received_ns = received_ns - ?", (BEGAN_NS,))
            conn.commit()
        os.utime(path, (old, old))
    assert "nothing to throw away" in run("prune", folder, "--older-than", "8w").stdout
    shown = run("prune", folder, "--older-than", "30d", "--keep", "1").stdout
    assert "RECORD" in shown and "flood.db" in shown and "nothing was deleted" in shown
    with Archive.create_or_open(folder / "bare.db"):
        os.utime(folder / "bare.db", (old, old))
        gone = run("prune", folder, "--older-than", "30d", "--yes").stdout
    assert f"deleted {folder / 'flood.db'}" in gone and not video.exists()
    assert (folder / "bare.db").exists() and not (folder / "flood.db").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["prune", "{}", "--older-than", "soon"], "no age"),
        (["prune", "{}", "--keep", "-1"], "0 or more"),
        (["prune", "{}", "--keep", "1", "--stale"], "leave it out"),
        (["list", "{}/nowhere"], "no such folder"),
        (["show", "{}/nowhere.db"], "does not exist"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    flown: Path, run: Run, args: list[str], words: str
) -> None:
    result = run(*(arg.format(flown) for arg in args))
    assert isinstance(result.exception, UserError) and words in str(result.exception)
