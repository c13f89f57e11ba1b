"""MP4 in and out: every frame, in step with the source, or nothing at all under the name."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.video import Mp4Writer, probe, read_video
from gvc_protocol.errors import LocalProtocolError, UserError

W, H = 64, 48
RATES = [Fraction(30000, 1001), Fraction(25, 2), Fraction(30), Fraction(1000003, 33333)]


def colours(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3), np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def write(
    path: Path, shades: NDArray[np.uint8], fps: Fraction, *, fragmented: bool = False
) -> None:
    with Mp4Writer(
        path,
        width=W,
        height=H,
        fps=fps,
        comment="GVC decode: marks in x.npz",
        fragmented=fragmented,
    ) as writer:
        for shade in shades:
            writer.write(np.full((H, W, 3), shade, np.uint8))


@pytest.mark.parametrize("fragmented", [False, True])
@pytest.mark.parametrize("fps", RATES, ids=str)
def test_frames_rate_and_duration_are_exact(
    tmp_path: Path, fps: Fraction, fragmented: bool
) -> None:
    path, shades = tmp_path / "a: b.mp4", colours(37)
    write(path, shades, fps, fragmented=fragmented)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.frames) == (W, H, fps, 37)
    assert info.comment == "GVC decode: marks in x.npz"
    frames = list(read_video(path))
    assert len(frames) == 37
    for picture, shade in zip(frames, shades, strict=True):
        assert np.abs(picture.astype(int) - shade).max() <= 6
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None and stream.time_base is not None
        assert stream.duration * stream.time_base == 37 / fps
        times = [(f.pts or 0) * stream.time_base for f in container.decode(stream)]
        assert times == [n / fps for n in range(37)]
        assert (stream.codec_context.colorspace, stream.codec_context.color_primaries) == (1, 1)
    assert names(tmp_path) == [path.name]


def test_the_index_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", colours(5), Fraction(25))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), Mp4Writer(
        path, width=W, height=H, fps=Fraction(25), comment=""
    ) as writer:  # fmt: skip
        writer.write(np.zeros((H, W, 3), np.uint8))
        assert path.read_bytes() == b"old"
        raise RuntimeError
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.mp4"]


def test_a_live_recording_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    """What a power cut would leave: all but the fragment in the making."""
    path, cut = tmp_path / "live.mp4", tmp_path / "cut.mp4"
    shades = colours(95)
    with Mp4Writer(
        path, width=W, height=H, fps=Fraction(10), comment="", fragmented=True
    ) as writer:
        for shade in shades:
            writer.write(np.full((H, W, 3), shade, np.uint8))
        shutil.copy(path, cut)
    frames = list(read_video(cut))
    assert 80 <= len(frames) <= 95
    assert np.abs(frames[79].astype(int) - shades[79]).max() <= 6
    assert len(list(read_video(path))) == 95


def test_a_live_recording_survives_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "live.mp4"
    with pytest.raises(RuntimeError), Mp4Writer(
        path, width=W, height=H, fps=Fraction(10), comment="", fragmented=True
    ) as writer:  # fmt: skip
        for shade in colours(15):
            writer.write(np.full((H, W, 3), shade, np.uint8))
        raise RuntimeError
    assert len(list(read_video(path))) == 15


@pytest.mark.parametrize("fragmented", [False, True])
def test_a_video_without_frames_is_no_file(tmp_path: Path, fragmented: bool) -> None:
    with pytest.raises(UserError, match="no frame"):
        write(tmp_path / "a.mp4", colours(0), Fraction(25), fragmented=fragmented)
    assert not names(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (0, 48)])
def test_odd_sizes_are_our_own_mistake(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(LocalProtocolError):
        Mp4Writer(tmp_path / "a.mp4", width=width, height=height, fps=Fraction(25), comment="")
    assert not names(tmp_path)


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError), Mp4Writer(
        tmp_path / "a.mp4", width=W, height=H, fps=Fraction(25), comment=""
    ) as writer:  # fmt: skip
        writer.write(np.zeros((H, W + 2, 3), np.uint8))
    assert not names(tmp_path)


@pytest.mark.parametrize("fragmented", [False, True])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, fragmented: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing/a.mp4", "folder", "file/a.mp4"):
        with pytest.raises(UserError) as caught:
            Mp4Writer(
                tmp_path / name, width=W, height=H, fps=Fraction(25), comment="",
                fragmented=fragmented,
            )  # fmt: skip
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UserError, match="cannot write"):
            Mp4Writer(tmp_path / "a.mp4", width=W, height=H, fps=Fraction(25), comment="")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="No space left"), Mp4Writer(
        Path("/dev/full"), width=W, height=H, fps=Fraction(10), comment="", fragmented=True
    ) as writer:  # fmt: skip
        for _ in range(30):
            writer.write(rng.integers(0, 256, (H, W, 3), np.uint8))


@pytest.mark.parametrize("data", [b"", b"this is no video\n" * 99])
def test_what_is_no_video_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    for use in (probe, lambda p: next(read_video(p))):
        with pytest.raises(UserError, match=r"a\.mp4"):
            use(path)
    with pytest.raises(UserError, match="No such file"):
        probe(tmp_path / "none.mp4")


@pytest.mark.parametrize("fragment", [2, 9, -1])
def test_damage_is_told_after_the_good_frames(tmp_path: Path, fragment: int) -> None:
    """Cut within a frame, the frames before come, and the cut is not taken for the end."""
    path = tmp_path / "live.mp4"
    rng = np.random.default_rng(0)
    with Mp4Writer(path, width=W, height=H, fps=Fraction(2), comment="", fragmented=True) as writer:
        for _ in range(20):
            writer.write(rng.integers(0, 256, (H, W, 3), np.uint8))
    data = path.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"mdat", at)]
    path.write_bytes(data[: starts[fragment] + 500])
    got = 0
    with pytest.raises(UserError, match=r"damaged after frame \d+:"):
        for _ in read_video(path):
            got += 1
    assert 0 < got < 20
