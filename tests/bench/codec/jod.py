"""ColorVideoVDP: how much worse a clip looks than its source, in just-objectionable differences.

10 is no difference; of two clips a whole step apart, three viewers in four prefer the better one
(Mantiuk et al. 2024). Measured for a 24-inch full HD screen in an office, seen from 0.6 m
(`standard_fhd`), all frames, on CPU: 2 to 4 s of a core a frame of 854x480, most of a benchmark's time.

`cvvdp` imports torchvision, whose compiled operators do not fit a CPU build of torch. None of them is
used: operators that torchvision says are missing are declared, empty, until its import goes through.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError
from tests.bench.codec.metrics import Clip, check_pair

__all__ = ["DISPLAY", "jod", "jod_name", "middle"]

DISPLAY = "standard_fhd"
_THREADS = 2
_MOST_OPERATORS = 100
_LIBRARIES: list[Any] = []
"torch forgets operators when the library that declared them is collected."


def jod(source: Clip, decoded: Clip, *, fps: float, crop: bool = False) -> float:
    """ColorVideoVDP of two clips uint8[n, h, w, 3] BGR, shown at `fps` frames a second; 10 is best.

    Args:
        crop: measure the middle half of each side only, a quarter of the time. Another measure, as
            the middle of a picture is often harder or easier than the rest: tell it by `jod_name`.

    Raises:
        UserError: `cvvdp` is missing.
    """
    check_pair(source, decoded)
    if fps <= 0:
        raise ValueError(f"{fps} frames a second")
    if crop:
        source, decoded = middle(source), middle(decoded)
    import_cvvdp()
    import torch

    torch.set_num_threads(_THREADS)
    with torch.inference_mode():
        quality, _ = _metric().predict_video_source(_pair(source, decoded, fps))
    return float(quality)


def jod_name(*, crop: bool) -> str:
    """What to call the figure in tables."""
    return "JOD of the middle half a side" if crop else "JOD"


def middle(clip: Clip) -> Clip:
    """The middle half of each side, a view."""
    height, width = clip.shape[1:3]
    top, left = height // 4, width // 4
    return clip[:, top : top + height // 2, left : left + width // 2]


@lru_cache(maxsize=1)
def import_cvvdp() -> Any:
    """The package `pycvvdp`. Raises UserError where it, or torch, is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_torchvision()
            return importlib.import_module("pycvvdp")
    except ImportError as error:
        raise UserError(f"JOD: {error.name} is missing; pip install cvvdp torch") from None


def _import_torchvision() -> None:
    """Import it, declaring the operators it lacks. Raises ImportError, or what else is wrong."""
    import torch

    for _ in range(_MOST_OPERATORS):
        try:
            importlib.import_module("torchvision")
            return
        except (RuntimeError, AttributeError) as error:
            missing = re.search(r"torchvision::(\w+)", str(error))
            if missing is None:
                raise
        if not _LIBRARIES:
            _LIBRARIES.append(torch.library.Library("torchvision", "DEF"))
        _LIBRARIES[0].define(f"{missing[1]}(Tensor a) -> Tensor")
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    raise RuntimeError("torchvision lacks more operators than it has")


@lru_cache(maxsize=1)
def _metric() -> Any:
    import torch

    cvvdp = import_cvvdp().cvvdp
    return cvvdp(display_name=DISPLAY, device=torch.device("cpu"), quiet=True)


def _pair(source: Clip, decoded: Clip, fps: float) -> Any:
    """Both clips as a video source of cvvdp's, read a frame at a time: memmaps stay on disk."""
    import torch

    base = importlib.import_module("pycvvdp.video_source").video_source_dm

    class Pair(base):  # type: ignore[misc, valid-type]
        def get_frames_per_second(self) -> float:
            return fps

        def get_video_size(self) -> tuple[int, int, int]:
            return source.shape[1], source.shape[2], len(source)

        def get_batch_size(self) -> int:
            return 1

        def get_test_frame(self, frame: int, device: Any, colorspace: str) -> Any:
            return self._frame(decoded[frame], device, colorspace)

        def get_reference_frame(self, frame: int, device: Any, colorspace: str) -> Any:
            return self._frame(source[frame], device, colorspace)

        def _frame(self, bgr: NDArray[np.uint8], device: Any, colorspace: str) -> Any:
            rgb = torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).to(device)
            planes = rgb.permute(2, 0, 1)[None, :, None].to(torch.float32) / 255
            return self.apply_dm_and_color_transform(planes, colorspace)

    return Pair(display_photometry=DISPLAY)
