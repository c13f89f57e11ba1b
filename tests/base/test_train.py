"""The training tools, end to end and small: scenes, a few steps, resuming, export, both runtimes."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from gvc_base.neural.layout import CONTEXT_PLANES, PLANES, TEXTURE_BANDS
from gvc_base.neural.runtime import make_refiner, make_restorer
from gvc_base.train.config import DataConfig, TrainConfig, load_config
from gvc_base.train.flyover import fly
from gvc_base.train.scenes import make_scene, plan
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.train.loop import Trainer

# Loaded by what needs it: every process of the run collects this file, and torch takes 3 s of each.
pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

DATA = DataConfig(
    photos=("*.jpg",), held_out=("secret",), flights=2, cuts=0, frames=5, width=192, height=128
)
RUN = TrainConfig(
    channels=16, blocks=1, steps=50, batch=2, crop=64, sequence=2, checkpoint_every=2, data=DATA
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, two scenes and a checkpoint of four steps."""
    root = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(1)
    for name in ("one", "two", "secret"):
        coarse = rng.integers(0, 255, (24, 32, 3), np.uint8)
        cv2.imwrite(str(root / f"{name}.jpg"), cv2.resize(coarse, (640, 480)))
    (root / "scenes").mkdir()
    for job in plan(DATA, root, seed=1):
        make_scene(job, DATA, root / "scenes")
    trainer(root).run(until_s=600, on_log=lambda _: None, steps=4)
    return root


def trainer(root: Path) -> Trainer:
    from gvc_base.train.loop import Trainer

    return Trainer(RUN, root / "scenes", root, "cpu")


def test_held_out_photos_never_train(folder: Path) -> None:
    assert {job.source.name for job in plan(DATA, folder, seed=1)} == {"one.jpg", "two.jpg"}


def test_a_scene_is_the_same_for_the_same_seed(folder: Path, tmp_path: Path) -> None:
    job = plan(DATA, folder, seed=1)[0]
    again = np.load(make_scene(job, DATA, tmp_path))
    first = np.load(folder / "scenes" / f"{job.name}.npz")
    assert set(first.files) == set(again.files)
    assert all(np.array_equal(first[name], again[name]) for name in first.files)


def test_a_flight_moves_and_a_seed_repeats_it() -> None:
    photo = cv2.resize(np.random.default_rng(2).integers(0, 255, (30, 40, 3), np.uint8), (800, 600))
    views = [fly(photo, seed=seed, frames=3, hz=5, width=160, height=96) for seed in (3, 3, 4)]
    assert all(view.shape == (96, 160, 3) for view in views[0])
    assert np.array_equal(views[0][2], views[1][2])
    assert not np.array_equal(views[0][2], views[2][2])
    assert np.abs(views[0][0].astype(int) - views[0][2]).mean() > 2


def test_training_resumes_where_it_stopped(folder: Path) -> None:
    import torch

    again = trainer(folder)
    assert again.step == 4
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    for name, value in again.net.state_dict().items():
        assert torch.equal(value, state["net"][name])


def test_weights_change_and_stay_finite(folder: Path) -> None:
    import torch

    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["net"].values())
    assert state["net"]["tail.weight"].abs().max() > 0


def test_both_runtimes_show_the_same(folder: Path, tmp_path: Path) -> None:
    from gvc_base.train.export import export

    export(folder / "checkpoint.pt", tmp_path)
    rng = np.random.default_rng(5)
    # An odd size: the network pads, the caller never sees it.
    pictures = [rng.integers(0, 255, (50, 75, 3), np.uint8) for _ in range(3)]
    planes = rng.random((PLANES, 13, 19), np.float32)
    by_torch, by_onnx = make_restorer("torch", tmp_path), make_restorer("onnx", tmp_path)
    a, spread_a, texture_a = by_torch.restore(*pictures, planes)
    b, spread_b, texture_b = by_onnx.restore(*pictures, planes)
    assert a.shape == b.shape == (50, 75, 3)
    assert spread_a.shape == spread_b.shape == (13, 19)
    # bfloat16 keeps 8 bits: two of 255 levels.
    assert np.abs(a.astype(int) - b).max() <= 2
    assert np.abs(spread_a - spread_b).max() < 0.05
    assert texture_a.shape == (TEXTURE_BANDS, 13, 19) and texture_a.min() >= 0
    assert np.abs(texture_a - texture_b).max() < 0.001
    assert by_torch.label.startswith("evidence-") and "torch" in by_torch.label


def test_the_refiner_trains_on_a_frozen_network_and_both_runtimes_agree(
    folder: Path, tmp_path: Path
) -> None:
    import torch

    from gvc_base.train.export import export
    from gvc_base.train.refine import RefineTrainer

    out = tmp_path / "refine"
    out.mkdir()
    evidence = folder / "checkpoint.pt"
    run = RefineTrainer(RUN, folder / "scenes", out, "cpu", evidence=evidence)
    run.run(until_s=600, on_log=lambda _: None, steps=4)
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4 and state["net"]["tail.weight"].abs().max() > 0
    export(out / "checkpoint.pt", tmp_path, "refine")
    rng = np.random.default_rng(6)
    restored, memory = (rng.integers(0, 255, (50, 75, 3), np.uint8) for _ in range(2))
    context = rng.random((CONTEXT_PLANES, 13, 19), np.float32)
    noise = rng.standard_normal((3, 50, 75), np.float32)
    a, b = (
        make_refiner(backend, tmp_path).refine(restored, memory, context, noise, 2)
        for backend in ("torch", "onnx")
    )
    assert a.shape == b.shape == (50, 75, 3)
    assert np.abs(a - b).max() <= 2


def test_weights_that_were_changed_are_refused(folder: Path, tmp_path: Path) -> None:
    from gvc_base.train.export import export

    export(folder / "checkpoint.pt", tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    path = tmp_path / index["evidence"]["onnx_file"]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match="not the file that its name says"):
        make_restorer("onnx", tmp_path)


def test_no_weights_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable entry"):
        make_restorer("onnx", tmp_path)


@pytest.mark.parametrize(
    "text",
    ["steps = 'many'", "speed = 1", "[data]\nphotos = 'x'", "[data]\nclip = []", "steps = = 1"],
)
def test_a_wrong_config_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"run\.toml"):
        load_config(path)


def test_the_standard_config_is_valid() -> None:
    from gvc_base import train

    config = load_config(Path(train.__file__).with_name("standard.toml"))
    assert config == replace(config) and config.data.photos
