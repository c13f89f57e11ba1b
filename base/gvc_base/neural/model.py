"""EvidenceNet: three pictures that show the same moment, and what is known about them, to one.

    current  F of this moment, enlarged             -- [N, 3, H, W]
    ahead    the next coded picture, moved here        [N, 3, H, W]
    memory   the last picture shown, moved here        [N, 3, H, W]
    planes   trust, age, coverage, cost                [N, PLANES, H/4, W/4]
      -> space-to-depth 4 -> wide residual blocks at a quarter of the size -> depth-to-space
      -> picture = current + residual; a cell: log-variance of its error, amplitude of each texture band

What is restored and what is made up come out apart: texture is noise of three octaves, moved with the
scene by the decoder and scaled by the amplitudes; without it the picture is evidence and restoration
alone.

Wide layers at low resolution: on a CPU in bfloat16, 128 channels ran nine times as many operations a
second as 48 did.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gvc_base.neural.layout import CELL_PX, PLANES, TEXTURE_BANDS

__all__ = ["Block", "EvidenceNet", "NetConfig", "build"]

_CENTRE = 0.5
_TEXTURE_SCALE = 0.02
_TEXTURE_START = -2.0
_IN = 3 * 3 * CELL_PX * CELL_PX + PLANES
_OUT = 3 * CELL_PX * CELL_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """Size of the network; stored with its weights."""

    channels: int = 128
    blocks: int = 6

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a weights file's metadata."""
        return asdict(self)


class Block(nn.Module):
    """x + conv(relu(conv(x))). No normalisation: it blurs what little contrast there is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(functional.relu(self.first(x)))
        return out


class EvidenceNet(nn.Module):
    """Evidence fusion and restoration. Pictures are RGB-order-agnostic float in 0..1.

    Height and width must be multiples of `CELL_PX`.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(_IN, config.channels, 3, padding=1)
        self.body = nn.Sequential(*[Block(config.channels) for _ in range(config.blocks)])
        self.tail = nn.Conv2d(config.channels, _OUT, 3, padding=1)
        self.spread = nn.Conv2d(config.channels, 1, 3, padding=1)
        self.texture = nn.Conv2d(config.channels, TEXTURE_BANDS, 3, padding=1)
        for layer in (self.tail, self.spread, self.texture):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.texture.bias, _TEXTURE_START)  # type: ignore[arg-type]
        for block in self.body:
            block.second.weight.data.mul_(0.1)  # type: ignore[union-attr, operator]

    def forward(
        self, current: Tensor, ahead: Tensor, memory: Tensor, planes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(picture [N, 3, H, W], not clipped; log-variance [N, 1, H/4, W/4]; amplitudes >= 0 of the
        texture bands as shares of full scale [N, TEXTURE_BANDS, H/4, W/4])."""
        pictures = torch.cat([current, ahead - current, memory - current], 1)
        cells = functional.pixel_unshuffle(pictures, CELL_PX)
        centred = torch.cat([cells[:, :_OUT] - _CENTRE, cells[:, _OUT:] * 4, planes], 1)
        x = functional.relu(self.head(centred))
        x = self.body(x)
        residual = functional.pixel_shuffle(self.tail(x), CELL_PX)
        amplitudes = functional.softplus(self.texture(x)) * _TEXTURE_SCALE
        return current + residual, self.spread(x), amplitudes


def build(config: NetConfig | None = None) -> EvidenceNet:
    """A new network, in the layout that its convolutions are fastest in."""
    net = EvidenceNet(config or NetConfig())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
