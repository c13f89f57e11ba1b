"""RefineNet: the generative part of quality `best`, flow matching on what restoration leaves out.

    residual r = (true - restored) * scale; noise n; state x(t) = (1 - t) n + t r, 0 <= t <= 1
    the network learns the velocity r - n at x(t), t and the evidence (Lipman et al. 2023, "Flow
    Matching for Generative Modeling", the straight path); decoding integrates it from n in a few steps

The noise moves with the scene, so that what is made up does, too. What comes out is apart from the
restored picture: marks know it, and objects are kept free of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gvc_base.neural.layout import CELL_PX, CONTEXT_PLANES, RESIDUAL_SCALE
from gvc_base.neural.model import Block, NetConfig

__all__ = ["RefineNet", "build_refiner", "integrate"]

_CELLS = 3 * CELL_PX * CELL_PX


class RefineNet(nn.Module):
    """Velocity of the residual. Height and width must be multiples of `CELL_PX`."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(3 * _CELLS + CONTEXT_PLANES + 1, config.channels, 3, padding=1)
        self.body = nn.Sequential(*[Block(config.channels) for _ in range(config.blocks)])
        self.tail = nn.Conv2d(config.channels, _CELLS, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        for block in self.body:
            block.second.weight.data.mul_(0.1)  # type: ignore[union-attr, operator]

    def forward(
        self, state: Tensor, restored: Tensor, memory: Tensor, context: Tensor, time: Tensor
    ) -> Tensor:
        """Velocity [N, 3, H, W].

        Args:
            state: x(t) [N, 3, H, W], about unit size.
            restored: EvidenceNet's picture [N, 3, H, W], 0..1.
            memory: the last picture shown, moved here [N, 3, H, W].
            context: [N, CONTEXT_PLANES, H/4, W/4].
            time: [N, 1, H/4, W/4].
        """
        pictures = torch.cat([state, (restored - 0.5) * 2, (memory - restored) * RESIDUAL_SCALE], 1)
        cells = functional.pixel_unshuffle(pictures, CELL_PX)
        x = functional.relu(self.head(torch.cat([cells, context, time], 1)))
        return functional.pixel_shuffle(self.tail(self.body(x)), CELL_PX)


def build_refiner(config: NetConfig | None = None) -> RefineNet:
    """A new network, in the layout that its convolutions are fastest in."""
    net = RefineNet(config or NetConfig())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def integrate(
    net: RefineNet, noise: Tensor, restored: Tensor, memory: Tensor, context: Tensor, steps: int
) -> Tensor:
    """The residual [N, 3, H, W] in shares of full scale, by Euler's method from t = 0 to 1."""
    state = noise
    for step in range(steps):
        time = torch.full_like(context[:, :1], step / steps)
        state = state + net(state, restored, memory, context, time) / steps
    return state / RESIDUAL_SCALE
