"""Derived media made again, each under its own name, and two of them against each other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gvc_base.archive import Archive
from gvc_base.cli import app
from gvc_base.missions.facts import read_facts
from gvc_base.missions.media import media_of, read_note
from gvc_base.missions.models import find_model, how_of
from gvc_base.neural.weights import FOLDER, find_weights
from gvc_base.video import probe
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark
from tests.replay.flown import BEGAN_NS, Flight, fly

UNITS = 6


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.db with losses, and beside it what two redecodes left."""
    folder = tmp_path_factory.mktemp("redecoded")
    fly(folder / "m.db", Flight(units=UNITS, loss=0.3, seed=3, lost_units=(3,)))
    for quality in ("preview", "standard"):
        result = run("redecode", folder / "m.db", "--quality", quality, "--no-sign", "--clean")
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(decoded: Path, tmp_path: Path) -> Path:
    for path in decoded.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


def test_qualities_lie_beside_each_other_and_say_what_they_are(decoded: Path) -> None:
    media = {m.paths[0].name.split(".")[1]: m for m in media_of(read_facts(decoded / "m.db"))}
    assert set(media) == {"preview", "standard"}
    for quality, one in media.items():
        assert one.state == "current" and len(one.paths) == 4
        note = read_note(decoded / f"m.{quality}.json")
        assert note is not None and note.quality == quality and quality in note.decoder
        assert note.model == "" and note.sessions == (1,) and len(note.chain) == 64
        assert set(note.files) == {p.name for p in one.paths} - {f"m.{quality}.json"}
    assert probe(decoded / "m.preview.mp4").frames == UNITS * 8
    assert not [p for p in decoded.iterdir() if p.name.startswith(".")]


def test_what_is_current_is_not_made_again_and_what_is_stale_is(folder: Path) -> None:
    video = folder / "m.preview.mp4"
    before = video.stat().st_mtime_ns
    again = run("redecode", folder / "m.db", "--quality", "preview", "--no-sign")
    assert "--again" in again.stdout and video.stat().st_mtime_ns == before
    with Archive.create_or_open(folder / "m.db") as archive:
        archive.append(1, [(BEGAN_NS + 10**12, "edge:1", b"later")])
    made = run("redecode", folder / "m.db", "--quality", "preview", "--no-sign", "--json")
    assert json.loads(made.stdout)["out"] == str(video) and video.stat().st_mtime_ns > before
    assert not (
        folder / "m.preview.clean.mp4"
    ).exists()  # it was of the old one, and nothing told so
    states = {p.name: m.state for m in media_of(read_facts(folder / "m.db")) for p in m.paths}
    assert states["m.preview.mp4"] == "current" and states["m.standard.mp4"] == "stale"


def test_a_decode_of_an_archive_says_what_it_was_made_from(folder: Path) -> None:
    words = ("decode", folder / "m.db", "--quality", "preview", "--no-sign", "--out")
    made = run(*words, folder / "m.mp4")
    assert made.exit_code == 0 and "is another file" not in made.stdout
    states = {m.paths[0].name: m for m in media_of(read_facts(folder / "m.db"))}
    one = states["m.marks.npz"]
    assert one.state == "current" and one.what == "quality preview, no network"
    assert {p.name for p in one.paths} == {"m.mp4", "m.marks.npz", "m.json"}
    # What is not a note is not replaced.
    (folder / "m.two.json").write_text("{}")
    told = run(*words, folder / "m.two.mp4")
    assert "m.two.json is another file" in told.stdout
    assert (folder / "m.two.json").read_text() == "{}"


def test_models_by_name_hash_and_folder(tmp_path: Path) -> None:
    entry = find_weights("evidence")
    for name in (None, "evidence", entry.label, entry.torch_sha256[:8], entry.onnx_sha256[:12]):
        assert find_model(name).entry == entry
    weights = tmp_path / "train" / "weights"
    weights.mkdir(parents=True)
    index = json.loads((FOLDER / "index.json").read_text())
    index["evidence"]["torch_sha256"] = "ab" * 32
    (weights / "index.json").write_text(json.dumps(index))
    for folder in (weights, weights.parent):
        found = find_model(str(folder))
        assert found.label == "evidence-abababab" and found.folder == weights
        assert found.sha256("evidence-abababab torch cpu fp32") == "ab" * 32
        assert found.sha256("evidence-abababab onnx cpu") == entry.onnx_sha256
    assert how_of("preview", None, 1) is None and how_of("best", None, 0) is None
    used = how_of("best", "evidence", 1)
    assert used is not None and used.label == entry.label


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["redecode", "m.db", "--model", "evidence-00000000"], "unknown model"),
        (["redecode", "m.db", "--model", "nobody"], "unknown model"),
        (["redecode", "m.db", "--model", "evidence"], "codec 0, which has no network"),
        (["redecode", "m.db", "--quality", "preview", "--model", "evidence"], "leave the model"),
        (["redecode", "m.db", "--quality", "fine"], "unknown quality"),
        (["redecode", "m.preview.mp4"], "no mission archive"),
        (["redecode", "m.db", "--session", "7"], "no session 7"),
        (["compare", "m.db"], "say what to compare"),
        (["compare", "m.db", "--a", "best/nobody", "--b", "preview"], "unknown model"),
        (["compare", "m.db", "--a", "preview", "--b", "preview"], "the same decode"),
        (["compare", "m.preview.mp4", "m.db"], "m.db"),
        (["compare", "m.preview.mp4", "m.standard.mp4", "--a", "best"], "need neither"),
    ],
)
def test_what_cannot_be_is_one_line(decoded: Path, args: list[str], words: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in decoded.glob("m.*.*")}
    result = run(*(decoded / a if a.startswith("m.") else a for a in args))
    assert isinstance(result.exception, UserError) and words in str(result.exception)
    assert "\n" not in str(result.exception)
    assert {path: path.stat().st_mtime_ns for path in decoded.glob("m.*.*")} == before


def test_an_unknown_model_ends_with_code_2(decoded: Path) -> None:
    command = ["redecode", str(decoded / "m.db"), "--model", "nobody"]
    done = subprocess.run(
        [os.sys.executable, "-m", "gvc_base", *command],  # type: ignore[attr-defined]
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("gvc-base: unknown model 'nobody'")
    assert len(done.stderr.splitlines()) == 1


def test_a_comparison_counts_what_the_marks_and_pictures_say(decoded: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    result = run(
        "compare", decoded / "m.db", "--a", "standard", "--b", "preview", "--out", out, "--json"
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == json.loads(Path(f"{out}.json").read_text())
    assert told["labels"] == ["standard", "preview"] and told["frames"] == UNITS * 8
    crossed = np.array(told["crossed"])
    assert crossed.sum() == pytest.approx(1, abs=1e-3)
    assert told["marks_differ"] == pytest.approx(1 - np.trace(crossed), abs=1e-3)
    for side, name in enumerate(("standard", "preview")):
        with np.load(decoded / f"m.{name}.marks.npz") as file:
            counts = np.bincount(file["mark"].ravel(), minlength=len(Mark)) / file["mark"].size
            p_wrong = float(file["p_wrong"].astype(np.float64).mean())
        shares = [told["sides"][side]["marks"][m.name.lower()] for m in Mark]
        assert shares == pytest.approx(list(counts), abs=1e-3)
        assert crossed.sum(axis=1 - side) == pytest.approx(counts, abs=1e-3)
        assert told["sides"][side]["p_wrong"] == pytest.approx(p_wrong, abs=1e-3)
    assert 0 < told["mean_difference"] < 60 and 0 <= told["structure_differs"] < 1
    assert told["worst_share"] >= told["structure_differs"] and told["worst_frame"] >= 0
    video = probe(Path(f"{out}.mp4"))
    assert video.frames == UNITS * 8 and "marks burned in" in video.comment
    for end in (".png", ".map.png"):
        picture = cv2.imread(f"{out}{end}")
        assert picture is not None and picture.std() > 10


def test_decoded_files_are_compared_and_burned_in_marks_are_no_difference(
    decoded: Path, tmp_path: Path
) -> None:
    clean = ["m.standard.clean.mp4", "m.preview.clean.mp4"]
    told = {}
    for name, files in (("clean", clean), ("burned", [f.replace(".clean", "") for f in clean])):
        out = tmp_path / name
        result = run("compare", *(decoded / f for f in files), "--out", out, "--json")
        assert result.exit_code == 0, result.output
        told[name] = json.loads(result.stdout)
    assert told["clean"]["pictures"] and not told["burned"]["pictures"]
    assert told["burned"]["structure_differs"] == 0 == told["burned"]["mean_difference"]
    assert told["clean"]["crossed"] == told["burned"]["crossed"]
    same = run("compare", decoded / clean[0], decoded / clean[0], "--out", tmp_path / "s", "--json")
    told["same"] = json.loads(same.stdout)
    assert told["same"]["marks_differ"] == told["same"]["structure_differs"] == 0
    text = run("compare", *(decoded / f for f in clean), "--out", tmp_path / "t").stdout
    assert "A: m.standard.clean" in text and "different structure in" in text
    shutil.copy(decoded / clean[0], tmp_path / "bare.mp4")
    lone = run("compare", tmp_path / "bare.mp4", decoded / clean[0])
    assert "no marks beside it" in str(lone.exception)
