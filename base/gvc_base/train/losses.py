"""What the network is trained for: pixels, contrast as the eye sees it, and honest error bars.

`contrast_loss` follows the shape of ColorVideoVDP's achromatic path (Mantiuk et al. 2024): difference of
band-pass contrasts over sensitivity, divided by masking from contrast that both pictures share. It is
a training loss, not that metric.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gvc_base.neural.layout import CELL_PX, TEXTURE_SIGMAS_PX

__all__ = ["contrast_loss", "luma", "spread_loss", "strength_loss", "warp"]

_BAND_WEIGHTS = (0.35, 0.8, 1.0, 1.0, 0.7)
"Relative sensitivity of each octave, finest first, for a picture seen at about 38 pixels a degree."

_THRESHOLD = 0.006
"Contrast of gamma-coded luma that is just seen in the most sensitive band."

_MASK_AT = 3.0
_CHROMA = 0.4

_TEXTURE_GAINS = (1.0, 0.5, 0.0)
"""Share of the missing texture to make up, finest octave first. With true amplitudes on a forest, all
three bands in full brought a detector's features 24 % nearer but cost 0.9 JOD; these shares of the
edge-safe amplitude brought them 17 to 23 % nearer for about 0.1 JOD."""

_LOCAL_PX = 3.0
_EDGE_PX = 24
_LEAST_AMPLITUDE = 0.004


def luma(picture: Tensor) -> Tensor:
    """BT.601 luma of BGR pictures [n, 3, h, w] -> [n, 1, h, w]."""
    weights = picture.new_tensor([0.114, 0.587, 0.299]).view(1, 3, 1, 1)
    return (picture * weights).sum(1, keepdim=True)


def _opponent(picture: Tensor) -> Tensor:
    y = luma(picture)
    return torch.cat([y, (picture[:, :1] - y) * _CHROMA, (picture[:, 2:] - y) * _CHROMA], 1)


def _bands(x: Tensor) -> list[Tensor]:
    out = []
    for _ in _BAND_WEIGHTS[:-1]:
        low = functional.avg_pool2d(x, 2)
        up = functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        out.append(x - up)
        x = low
    out.append(x - x.mean((2, 3), keepdim=True))
    return out


def contrast_loss(shown: Tensor, true: Tensor) -> Tensor:
    """Masked multi-band contrast difference; pictures [n, 3, h, w] in 0..1, sides divisible by 16."""
    total = shown.new_zeros(())
    pairs = zip(_bands(_opponent(shown)), _bands(_opponent(true)), _BAND_WEIGHTS, strict=True)
    for test, reference, weight in pairs:
        gain = weight / _THRESHOLD
        difference = (test - reference) * gain
        shared = torch.minimum(test.abs(), reference.abs()) * gain
        mask = functional.avg_pool2d(shared, 3, 1, 1) / _MASK_AT
        visible = difference.square() / (1 + mask.square())
        total = total + (torch.sqrt(visible + 1) - 1).mean()
    return total / len(_BAND_WEIGHTS) / 10


def strength_loss(amplitudes: Tensor, shown: Tensor, true: Tensor) -> Tensor:
    """How far the texture's amplitudes are from what is missing, relative to it.

    What is missing is the local deviation of the error in each band, taken as the least in the
    neighbourhood: at an edge the error is a wrong edge, which noise would only spoil, while a
    surface lacks its texture everywhere.

    Args:
        amplitudes: [n, TEXTURE_BANDS, h/4, w/4], shares of full scale.
        shown, true: [n, 3, h, w].
    """
    error = luma(shown.detach() - true)
    wanted = []
    for index, gain in enumerate(_TEXTURE_GAINS):
        low = _blurred(error, TEXTURE_SIGMAS_PX[index])
        deviation = _blurred((error - low).square(), _LOCAL_PX).clamp_min(0).sqrt()
        side = _EDGE_PX + 1
        least = -functional.max_pool2d(-deviation, side, 1, side // 2)
        wanted.append(functional.avg_pool2d(gain * _blurred(least, _LOCAL_PX), CELL_PX))
        # The next octave starts where this one ends; variances add up.
        error = _blurred(error, TEXTURE_SIGMAS_PX[index])
    target = torch.cat(wanted, 1)
    return ((amplitudes - target).abs() / (target + _LEAST_AMPLITUDE)).mean()


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [n, 1, h, w], edges repeated."""
    radius = max(1, round(3 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (at / sigma).square())
    kernel = kernel / kernel.sum()
    x = functional.pad(x, (radius, radius, radius, radius), mode="replicate")
    x = functional.conv2d(x, kernel.view(1, 1, 1, -1))
    return functional.conv2d(x, kernel.view(1, 1, -1, 1))


def spread_loss(log_variance: Tensor, shown: Tensor, true: Tensor) -> Tensor:
    """Negative log-likelihood of the error under a Laplacian of the predicted size, a cell.

    The picture is taken as given: the spread must not be bought by a worse picture.
    """
    error = (shown.detach() - true).abs().mean(1, keepdim=True)
    cell = functional.avg_pool2d(error, error.shape[2] // log_variance.shape[2])
    # Bounded: one cell that is surer than right by far would shake the whole network.
    log_size = (0.5 * log_variance - 3).clamp(-7, 0)
    return (cell * torch.exp(-log_size) + log_size).mean()


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Sample `picture` [n, c, h, w] where `flow` [n, 2, h', w'] (pixels of the picture) points."""
    n, _, h, w = picture.shape
    full = functional.interpolate(flow, size=(h, w), mode="bilinear", align_corners=False)
    y, x = torch.meshgrid(
        torch.arange(h, dtype=full.dtype), torch.arange(w, dtype=full.dtype), indexing="ij"
    )
    at_x = (x + full[:, 0]) * (2 / (w - 1)) - 1
    at_y = (y + full[:, 1]) * (2 / (h - 1)) - 1
    grid = torch.stack([at_x, at_y], -1).to(picture.device)
    out: Tensor = functional.grid_sample(
        picture, grid.view(n, h, w, 2), padding_mode="border", align_corners=True
    )
    return out
