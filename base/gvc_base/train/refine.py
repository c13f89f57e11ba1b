"""Training of RefineNet: flow matching on what a finished EvidenceNet leaves out.

frozen EvidenceNet -> restored picture, log-variance; memory <- restored, as in the decoder
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from gvc_base.neural.layout import CELL_PX, RESIDUAL_SCALE
from gvc_base.neural.model import NetConfig
from gvc_base.neural.refine import build_refiner
from gvc_base.train.config import TrainConfig
from gvc_base.train.loop import Looked, Trainer, network_of

__all__ = ["RefineTrainer"]


class RefineTrainer(Trainer):
    """RefineNet's run in one folder.

    Args:
        evidence: checkpoint of the EvidenceNet whose pictures are refined.
        config, scenes, out, device: see `Trainer`.
    """

    def __init__(
        self, config: TrainConfig, scenes: Path, out: Path, device: str, *, evidence: Path
    ) -> None:
        self._evidence, _ = network_of(evidence)
        self._evidence.to(device).requires_grad_(requires_grad=False)
        super().__init__(config, scenes, out, device)

    def _build(self, shape: NetConfig) -> nn.Module:
        return build_refiner(shape)

    def _look(self, at: Looked) -> tuple[dict[str, Tensor], Tensor]:
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16):
            out = self._evidence(at.current, at.ahead, at.memory, at.planes)
        restored, spread = out[0].float().clamp(0, 1), out[1].float()
        residual = (at.true - restored) * RESIDUAL_SCALE
        noise = torch.randn_like(residual)
        cells = at.planes[:, :1]
        moment = torch.rand(len(cells), 1, 1, 1, device=cells.device)
        state = (1 - moment) * noise + moment * residual
        context = torch.cat([at.planes, spread], 1)
        with torch.autocast(self._device.type, torch.bfloat16):
            velocity = self.net(
                state, restored, at.memory, context, moment.expand_as(cells).contiguous()
            )
        miss = velocity.float() - (residual - noise)
        # Smooth at the size of a cell, too: blocks of independent pixels would look like grain.
        coarse = functional.avg_pool2d(miss, CELL_PX) * CELL_PX
        loss = miss.square().mean() + 0.25 * coarse.square().mean()
        return {"velocity": loss}, restored
