"""Pixel measures of a decoded clip beside its source.

All take two clips of one shape, uint8[n, h, w, 3] BGR, as arrays or memmaps, and read them frame by
frame. PSNR and flicker need numpy and OpenCV alone; MS-SSIM needs `pytorch-msssim`, SSIMULACRA2 the
package `ssimulacra2`: each is imported by the function that uses it.
"""

from __future__ import annotations

import io
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError

__all__ = [
    "MOST_PSNR_DB",
    "Clip",
    "check_pair",
    "flicker",
    "lpips",
    "luma",
    "ms_ssim",
    "psnr",
    "sampled",
    "ssimulacra2",
]

Clip = NDArray[np.uint8]

MOST_PSNR_DB = 100.0
"What two equal clips get: a table and JSON have no infinity."
_BATCH = 4
"Frames through MS-SSIM at once: more is no faster and takes memory."
_LEAST_MS_SSIM_PX = 161
"Five scales and a window of 11 pixels: (11 - 1) * 2**4 + 1."


def check_pair(source: Clip, decoded: Clip) -> None:
    """Raises ValueError unless both are uint8[n, h, w, 3] of one shape with at least one frame."""
    if source.shape != decoded.shape or source.ndim != 4 or source.shape[3] != 3:
        raise ValueError(f"clips {source.shape} and {decoded.shape} are no pair of [n, h, w, 3]")
    if source.dtype != np.uint8 or decoded.dtype != np.uint8:
        raise ValueError(f"clips of {source.dtype} and {decoded.dtype}; give uint8")
    if len(source) == 0:
        raise ValueError("clips without a frame")


def sampled(total: int, count: int) -> list[int]:
    """`count` frame numbers spread evenly over a clip, its first and last among them."""
    return [int(i) for i in np.linspace(0, total - 1, min(total, count))]


def luma(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8[h, w, 3] BGR to float32[h, w], BT.601 weights, full range, not rounded, in levels."""
    grey = cv2.cvtColor(np.asarray(frame).astype(np.float32), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.float32)


def psnr(source: Clip, decoded: Clip) -> float:
    """Peak signal to noise ratio in dB over all BGR samples of the clip, at most `MOST_PSNR_DB`.

    The squared error is averaged over the clip before the logarithm, so one perfect frame cannot
    lift the rest. Higher is better.
    """
    check_pair(source, decoded)
    total = sum(
        float(cv2.norm(np.asarray(a), np.asarray(b), cv2.NORM_L2SQR))
        for a, b in zip(source, decoded, strict=True)
    )
    if total == 0:
        return MOST_PSNR_DB
    return min(MOST_PSNR_DB, 10 * math.log10(255**2 * source.size / total))


def flicker(source: Clip, decoded: Clip) -> float:
    """How much the error changes from frame to frame: mean of |e_t - e_(t-1)|, in levels of 255.

    e is the luma of the decoded frame less that of the source. An error that stands still costs
    nothing, and neither does motion that is shown as it was; detail that is lost while it moves
    does, so compare clips of one scene only. 0 is best; a single frame has none. Ours.
    """
    check_pair(source, decoded)
    before: NDArray[np.float32] | None = None
    total = 0.0
    for a, b in zip(source, decoded, strict=True):
        error = luma(b) - luma(a)
        if before is not None:
            total += float(np.abs(error - before).mean(dtype=np.float64))
        before = error
    return total / max(1, len(source) - 1)


def ms_ssim(source: Clip, decoded: Clip) -> float:
    """Mean MS-SSIM of all frames, on R, G and B as stored (gamma coded), 0..1, higher is better.

    `pytorch-msssim` with its defaults: five scales, Gaussian window of 11 pixels and sigma 1.5,
    the channels averaged. As papers on learned video codecs measure it.

    Raises:
        UserError: the package is missing, or a side is under 161 pixels.
    """
    check_pair(source, decoded)
    if min(source.shape[1:3]) < _LEAST_MS_SSIM_PX:
        raise UserError(f"MS-SSIM needs sides of {_LEAST_MS_SSIM_PX} pixels; give a larger clip")
    try:
        import torch
        from pytorch_msssim import ms_ssim as measure
    except ImportError as error:
        raise UserError(
            f"MS-SSIM: {error.name} is missing; pip install torch pytorch-msssim"
        ) from None

    def tensor(frames: Clip) -> Any:
        return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float()

    total = 0.0
    with torch.inference_mode():
        for i in range(0, len(source), _BATCH):
            pair = tensor(source[i : i + _BATCH]), tensor(decoded[i : i + _BATCH])
            total += float(measure(*pair, data_range=255, size_average=False).double().sum())
    return total / len(source)


def ssimulacra2(source: Clip, decoded: Clip, *, frames: int = 8) -> float:
    """Mean SSIMULACRA2 of `frames` evenly sampled frames: 100 is best, 90 not told apart, below 0 awful.

    A still-picture measure of Cloudinary's, here by the Python port `ssimulacra2`: it takes some
    0.3 s a frame of 854x480, so it is sampled.

    Raises:
        UserError: the package is missing.
    """
    check_pair(source, decoded)
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError as error:
        raise UserError(f"SSIMULACRA2: {error.name} is missing; pip install ssimulacra2") from None
    chosen = sampled(len(source), frames)
    scores = [compute_ssimulacra2(_bmp(source[i]), _bmp(decoded[i])) for i in chosen]
    return float(np.mean(scores))


def _bmp(frame: NDArray[np.uint8]) -> io.BytesIO:
    """The package reads picture files only; an uncompressed one in memory is the cheapest."""
    return io.BytesIO(cv2.imencode(".bmp", np.asarray(frame))[1].tobytes())


def lpips(source: Clip, decoded: Clip, count: int = 16) -> float:
    """LPIPS (Zhang et al. 2018, AlexNet, version 0.1) of `count` frames spread over a clip; 0 is equal.

    Raises:
        UserError: the package is not installed, or its backbone's weights are not on this machine.
    """
    check_pair(source, decoded)
    try:
        import lpips as package
        import torch

        net: Any = package.LPIPS(net="alex", verbose=False).eval()
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            "--lpips needs the package lpips and the AlexNet weights that it loads: pip install lpips "
            f"torchvision, run it once with a network ({error})"
        ) from error

    def tensor(frame: NDArray[np.uint8]) -> Any:
        rgb = np.ascontiguousarray(np.asarray(frame)[..., ::-1].transpose(2, 0, 1))
        return torch.from_numpy(rgb)[None].float() / 127.5 - 1

    with torch.inference_mode():
        at = sampled(len(source), count)
        return float(np.mean([float(net(tensor(source[i]), tensor(decoded[i]))) for i in at]))
