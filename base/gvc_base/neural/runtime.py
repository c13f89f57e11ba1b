"""Runs the networks on numpy pictures: by torch where it is installed, else by ONNX Runtime.

`make_restorer("auto")` takes CUDA if there is one, then torch on a CPU that has bfloat16, then ONNX
Runtime, which is quicker in float32, then torch; `Restorer.label` says which. torch and onnxruntime are
imported here only, when a decoder asks for one.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders import Backend
from gvc_base.neural.layout import CELL_PX, RESIDUAL_SCALE
from gvc_base.neural.weights import FOLDER, WeightsEntry, find_weights, read_checked
from gvc_protocol.errors import UserError

__all__ = ["Refiner", "Restorer", "make_refiner", "make_restorer"]

if TYPE_CHECKING:
    from gvc_base.neural.model import NetConfig as _NetConfig

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class Restorer(Protocol):
    """EvidenceNet as a function."""

    @property
    def label(self) -> str:
        """Weights and backend, for reports."""

    def restore(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        """The picture, the log-variance of its error and how much texture to add.

        Args:
            current, ahead, memory: uint8[h, w, 3], BGR (`gvc_base.neural.model`).
            planes: float32[PLANES, ceil(h/4), ceil(w/4)] (`gvc_base.neural.layout`).

        Returns:
            (uint8[h, w, 3], float32[ceil(h/4), ceil(w/4)], float32[TEXTURE_BANDS, same grid]).
        """


class Refiner(Protocol):
    """RefineNet, integrated, as a function."""

    @property
    def label(self) -> str:
        """Weights and backend, for reports."""

    def refine(self, restored: U8, memory: U8, context: F32, noise: F32, steps: int) -> F32:
        """The residual to add, float32[h, w, 3], in levels of 255.

        Args:
            restored, memory: uint8[h, w, 3], BGR (`gvc_base.neural.refine`).
            context: float32[CONTEXT_PLANES, ceil(h/4), ceil(w/4)].
            noise: float32[3, h, w], white, unit deviation.
            steps: of Euler's method.
        """


def make_restorer(backend: Backend = "auto", folder: Path = FOLDER) -> Restorer:
    """EvidenceNet with the package's weights.

    Raises:
        UserError: the backend that was asked for is not installed, or none is.
    """
    entry = find_weights("evidence", folder)
    found = _backend(backend)
    net = _Onnx(entry, folder) if found == "onnx" else _Torch(entry, folder, found)
    net.again = (make_restorer, (backend,) if folder == FOLDER else (backend, folder))
    return net


def make_refiner(backend: Backend = "auto", folder: Path = FOLDER) -> Refiner:
    """RefineNet with the package's weights.

    Raises:
        UserError: see `make_restorer`.
    """
    entry = find_weights("refine", folder)
    found = _backend(backend)
    net = _OnnxRefiner(entry, folder) if found == "onnx" else _TorchRefiner(entry, folder, found)
    net.again = (make_refiner, (backend,) if folder == FOLDER else (backend, folder))
    return net


def _backend(backend: Backend) -> str:
    """What runs: "onnx", or torch's name of the device."""
    has_torch = importlib.util.find_spec("torch") is not None
    has_onnx = importlib.util.find_spec("onnxruntime") is not None
    if backend == "auto":
        backend = "onnx"
        if has_torch and _has_cuda():
            backend = "cuda"
        elif has_torch and (_has_bfloat16() or not has_onnx):
            backend = "torch"
    if backend in ("torch", "cuda") and not has_torch:
        raise UserError("torch is not installed; pip install 'gvc-field[gpu]', or use onnx")
    if backend == "cuda" and not _has_cuda():
        raise UserError("torch sees no CUDA GPU here; use torch (CPU) or onnx")
    if backend == "onnx" and not has_onnx:
        raise UserError(
            "this quality needs onnxruntime or torch; pip install 'gvc-field[base]', or decode with "
            "--quality preview"
        )
    return {"onnx": "onnx", "cuda": "cuda"}.get(backend, "cpu")


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _has_bfloat16() -> bool:
    """Whether the CPU has instructions for it: elsewhere it is far slower than float32. Not what oneDNN
    calls supported: that includes processors with plain AVX-512, where it is emulated."""
    import torch

    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class _Loaded:
    """Pickled as what loads it: a decoder that goes on in another process has the network from there."""

    again: tuple[Callable[..., Any], tuple[Any, ...]]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.again


class _TorchBase(_Loaded):
    """A network of the package in torch, in half precision where that is quick."""

    def __init__(
        self, entry: WeightsEntry, folder: Path, device: str, build: Callable[[_NetConfig], Any]
    ) -> None:
        import torch

        from gvc_base.neural.model import NetConfig

        data = read_checked(folder / entry.torch_file, entry.torch_sha256)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        net = build(NetConfig(channels=entry.channels, blocks=entry.blocks))
        net.load_state_dict({name: value.float() for name, value in state.items()})
        self._torch, self._device = torch, torch.device(device)
        self._half = device == "cuda" or _has_bfloat16()
        self._net = net.eval().to(self._device)
        self.label = f"{entry.label} torch {device} {'bf16' if self._half else 'fp32'}"

    def _autocast(self) -> Any:
        torch = self._torch
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)

    def _picture(self, picture: U8) -> Any:
        tensor = self._torch.from_numpy(picture).to(self._device).permute(2, 0, 1)[None]
        return tensor.float().div_(255)

    def _planes(self, planes: F32) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(planes))[None].to(self._device)


class _Torch(_TorchBase):
    def __init__(self, entry: WeightsEntry, folder: Path, device: str) -> None:
        from gvc_base.neural.model import build

        super().__init__(entry, folder, device, build)

    def restore(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        """See `Restorer`."""
        torch, (h, w) = self._torch, current.shape[:2]
        with torch.inference_mode(), self._autocast():
            inputs = [self._picture(_padded(p)) for p in (current, ahead, memory)]
            shown, spread, texture = self._net(*inputs, self._planes(planes))
            pixels = (shown[0].float() * 255).round_().clamp_(0, 255).to(torch.uint8)
            out = pixels.permute(1, 2, 0).cpu().numpy()
            log_variance = spread[0, 0].float().cpu().numpy()
            amplitudes = texture[0].float().cpu().numpy()
        return np.ascontiguousarray(out[:h, :w]), log_variance, amplitudes


class _TorchRefiner(_TorchBase):
    def __init__(self, entry: WeightsEntry, folder: Path, device: str) -> None:
        from gvc_base.neural.refine import build_refiner

        super().__init__(entry, folder, device, build_refiner)

    def refine(self, restored: U8, memory: U8, context: F32, noise: F32, steps: int) -> F32:
        """See `Refiner`."""
        from gvc_base.neural.refine import integrate

        h, w = restored.shape[:2]
        with self._torch.inference_mode(), self._autocast():
            shown, past = self._picture(_padded(restored)), self._picture(_padded(memory))
            start, facts = self._planes(_padded_planes(noise)), self._planes(context)
            out = integrate(self._net, start, shown, past, facts, steps)
            residual = (out[0].float() * 255).permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(residual[:h, :w])


class _OnnxBase(_Loaded):
    """A network of the package in ONNX Runtime."""

    def __init__(self, entry: WeightsEntry, folder: Path) -> None:
        import onnxruntime

        data = read_checked(folder / entry.onnx_file, entry.onnx_sha256)
        wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()]
        self._session: Any = onnxruntime.InferenceSession(data, providers=providers)
        used = self._session.get_providers()[0].removesuffix("ExecutionProvider").lower()
        self.label = f"{entry.label} onnx {used}"


class _Onnx(_OnnxBase):
    def restore(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        """See `Restorer`."""
        h, w = current.shape[:2]
        names = ("current", "ahead", "memory")
        feed: dict[str, F32] = {"planes": planes[None]}
        for name, picture in zip(names, (current, ahead, memory), strict=True):
            feed[name] = _planar(picture)
        names_out = ["picture", "log_variance", "texture"]
        shown, spread, texture = self._session.run(names_out, feed)
        pixels = np.clip(np.rint(shown[0] * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        log_variance = np.asarray(spread[0, 0], np.float32)
        return (
            np.ascontiguousarray(pixels[:h, :w]),
            log_variance,
            np.asarray(texture[0], np.float32),
        )


class _OnnxRefiner(_OnnxBase):
    def refine(self, restored: U8, memory: U8, context: F32, noise: F32, steps: int) -> F32:
        """See `Refiner`."""
        h, w = restored.shape[:2]
        state = _padded_planes(noise)[None]
        feed = {"restored": _planar(restored), "memory": _planar(memory), "context": context[None]}
        for step in range(steps):
            time = np.full_like(context[None, :1], step / steps)
            (velocity,) = self._session.run(["velocity"], {**feed, "state": state, "time": time})
            state = state + np.asarray(velocity, np.float32) / np.float32(steps)
        residual = state[0].transpose(1, 2, 0) * np.float32(255 / RESIDUAL_SCALE)
        return np.ascontiguousarray(residual[:h, :w])


def _planar(picture: U8) -> F32:
    """float32[1, 3, H, W] in 0..1, padded to whole cells."""
    planar = _padded(picture).transpose(2, 0, 1)[None]
    return np.asarray(planar.astype(np.float32) / np.float32(255), np.float32)


def _padded_planes(planes: F32) -> F32:
    h, w = planes.shape[1:]
    return np.pad(planes, ((0, 0), (0, -h % CELL_PX), (0, -w % CELL_PX)), mode="edge")


def _padded(picture: U8) -> U8:
    h, w = picture.shape[:2]
    down, right = -h % CELL_PX, -w % CELL_PX
    if not (down or right):
        return np.ascontiguousarray(picture)
    bordered = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(bordered, np.uint8)
