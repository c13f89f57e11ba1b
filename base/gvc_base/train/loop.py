"""The training loop: sequences in, checkpoints and a loss plot out. Stopped at any moment, it resumes.

memory <- what the network itself showed, moved by the flow (no gradient through time)
losses: pixels, contrast as the eye sees it, error bars, strength of the texture that is missing
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gvc_base.neural.layout import CELL_PX, PLANES, Plane
from gvc_base.neural.model import EvidenceNet, NetConfig, build
from gvc_base.train.config import TrainConfig
from gvc_base.train.losses import contrast_loss, spread_loss, strength_loss, warp
from gvc_base.train.samples import Sequence, batches, prefetched

__all__ = ["Looked", "Trainer", "load_average", "network_of", "shape_of"]

_AVERAGE = 0.998
_LOG_EVERY = 20


@dataclass(slots=True)
class _Tally:
    """Running means of the losses since the last log line."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.count += 1

    def take(self) -> dict[str, float]:
        means = {name: total / max(1, self.count) for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One moment as a network in training sees it; pictures float32[n, 3, h, w] in 0..1."""

    true: Tensor
    current: Tensor
    ahead: Tensor
    memory: Tensor
    planes: Tensor


class Trainer:
    """EvidenceNet's run in one folder.

    Args:
        config: the run.
        scenes: folder of scenes (`gvc_base.train.scenes`).
        out: where checkpoints and log go; a checkpoint that lies there is resumed.
        device: "cpu" or "cuda".
    """

    def __init__(self, config: TrainConfig, scenes: Path, out: Path, device: str) -> None:
        self.config, self._scenes, self._out = config, scenes, out
        self._device = torch.device(device)
        torch.manual_seed(config.seed)
        shape = NetConfig(channels=config.channels, blocks=config.blocks)
        self.net: nn.Module = self._build(shape).to(self._device)
        self.average: nn.Module = self._build(shape).to(self._device)
        self.average.load_state_dict(self.net.state_dict())
        self._optimiser = torch.optim.AdamW(
            self.net.parameters(), config.learning_rate, (0.9, 0.99), weight_decay=1e-4
        )
        self.step, self.seconds = 0, 0.0
        self._resume()

    def _build(self, shape: NetConfig) -> nn.Module:
        return build(shape)

    def run(
        self, *, until_s: float, on_log: Callable[[str], None] = print, steps: int | None = None
    ) -> None:
        """Train to the configured steps (or to `steps`) or for `until_s` seconds, the sooner."""
        c = self.config
        goal = c.steps if steps is None else min(steps, c.steps)
        feed = batches(
            self._scenes, seed=c.seed + self.step, batch=c.batch, crop=c.crop, length=c.sequence
        )
        tally, began = _Tally(), time.monotonic()
        before = self.seconds
        for batch in prefetched(feed):
            if self.step >= goal or time.monotonic() - began > until_s:
                break
            tally.add(self._train(batch))
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % _LOG_EVERY == 0:
                on_log(self._log(tally.take()))
            if self.step % c.checkpoint_every == 0:
                self.save()
        self.save()

    def save(self) -> None:
        """Write the checkpoint: whole or not at all."""
        state = {
            "config": self.config.as_dict(), "step": self.step, "seconds": self.seconds,
            "net": self.net.state_dict(), "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }  # fmt: skip
        part = self._out / "checkpoint.part"
        torch.save(state, part)
        part.replace(self._out / "checkpoint.pt")

    def _resume(self) -> None:
        path = self._out / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        parts = ((self.net, "net"), (self.average, "average"), (self._optimiser, "optimiser"))
        for part, name in parts:
            part.load_state_dict(state[name])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])

    def _train(self, batch: Sequence) -> dict[str, Tensor]:
        time_axis = range(batch.true.shape[1])
        memory = batch.memory.to(self._device)
        received, age = batch.received.to(self._device), batch.age_s.to(self._device)
        total = torch.zeros((), device=self._device)
        parts: dict[str, Any] = {}
        for t in time_axis:
            true, current, ahead, back = (
                x[:, t].to(self._device).contiguous(memory_format=torch.channels_last)
                for x in (batch.true, batch.current, batch.ahead, batch.back)
            )
            memory, received = warp(memory, back), warp(received, back / CELL_PX)
            age = (age + 1 / batch.hz.to(self._device).view(-1, 1, 1, 1)) * (received > 0.1)
            trust = batch.back_trust[:, t].to(self._device)
            planes = self._planes(batch, t, trust, received, age)
            at = Looked(true=true, current=current, ahead=ahead, memory=memory, planes=planes)
            losses, shown = self._look(at)
            for name, value in losses.items():
                parts[name] = parts.get(name, 0.0) + value / len(time_axis)
                total = total + value / len(time_axis)
            memory = shown.detach().float().clamp(0, 1)
            # What was shown is no received pixel any more, except where evidence was kept.
            received = received * 0.8
        self._descend(total)
        return {k: torch.as_tensor(v) for k, v in parts.items()}

    def _planes(
        self, batch: Sequence, t: int, trust: Tensor, received: Tensor, age: Tensor
    ) -> Tensor:
        n, _, h, w = trust.shape
        planes = torch.zeros(n, PLANES, h, w, device=self._device)
        planes[:, Plane.AHEAD_TRUST] = batch.ahead_trust[:, t, 0].to(self._device)
        planes[:, Plane.MEMORY_TRUST] = trust[:, 0]
        planes[:, Plane.RECEIVED] = received[:, 0]
        planes[:, Plane.AGE] = torch.log2(1 + age[:, 0].clamp_min(0)) / 4
        planes[:, Plane.SCALE] = batch.scale.to(self._device).view(-1, 1, 1)
        planes[:, Plane.COST] = batch.cost.to(self._device).view(-1, 1, 1)
        return planes

    def _look(self, at: Looked) -> tuple[dict[str, Tensor], Tensor]:
        """The losses of one moment, and the picture that becomes the next one's memory."""
        c = self.config
        with torch.autocast(self._device.type, torch.bfloat16):
            out = self.net(at.current, at.ahead, at.memory, at.planes)
        picture, spread, texture = (x.float() for x in out)
        losses = {
            "pixel": c.pixel * functional.l1_loss(picture, at.true) * 10,
            "contrast": c.contrast * contrast_loss(picture, at.true),
            "spread": 0.05 * spread_loss(spread, picture, at.true),
            "strength": c.strength * strength_loss(texture, picture, at.true),
        }
        return losses, picture

    def _descend(self, total: Tensor) -> None:
        warm = min(1.0, (self.step + 1) / 100)
        left = max(0.05, 1 - self.step / self.config.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * warm * left
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        keep = min(_AVERAGE, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)

    def _log(self, means: dict[str, float]) -> str:
        path = self._out / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", *means])
            row = [f"{value:.5f}" for value in means.values()]
            writer.writerow([self.step, f"{self.seconds:.0f}", *row])
        values = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        return f"step {self.step}  {self.seconds:.0f} s  {values}"


def load_average(checkpoint: Path, net: nn.Module) -> dict[str, object]:
    """Put a checkpoint's averaged weights into `net`; returns what the checkpoint says of itself."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict(state["average"])
    net.eval()
    return {"config": state["config"], "step": state["step"], "seconds": state["seconds"]}


def shape_of(checkpoint: Path) -> NetConfig:
    """Size of a checkpoint's network."""
    config = torch.load(checkpoint, map_location="cpu", weights_only=True)["config"]
    return NetConfig(channels=config["channels"], blocks=config["blocks"])


def network_of(checkpoint: Path) -> tuple[EvidenceNet, dict[str, object]]:
    """The averaged EvidenceNet of a checkpoint, on the CPU, and what the checkpoint says of itself."""
    net = build(shape_of(checkpoint))
    return net, load_average(checkpoint, net)
