"""Runs EvidenceNet on numpy pictures: by torch where it is installed, else by ONNX Runtime.

`make_restorer("auto")` takes CUDA if there is one, then torch on the CPU, then ONNX Runtime, and says
which in `Restorer.label`. torch and onnxruntime are imported here only, when a decoder asks for one.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders import Backend
from gvc_base.neural.layout import CELL_PX
from gvc_base.neural.weights import FOLDER, WeightsEntry, find_weights, read_checked
from gvc_protocol.errors import UserError

__all__ = ["Restorer", "make_restorer"]

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


def make_restorer(backend: Backend = "auto", folder: Path = FOLDER) -> Restorer:
    """The network with the package's weights.

    Raises:
        UserError: the backend that was asked for is not installed, or none is.
    """
    entry = find_weights("evidence", folder)
    has_torch = importlib.util.find_spec("torch") is not None
    has_onnx = importlib.util.find_spec("onnxruntime") is not None
    if backend == "auto":
        backend = "torch" if has_torch else "onnx"
        if has_torch and _has_cuda():
            backend = "cuda"
    if backend in ("torch", "cuda") and not has_torch:
        raise UserError("torch is not installed; pip install 'gvc-field[gpu]', or use onnx")
    if backend == "cuda" and not _has_cuda():
        raise UserError("torch sees no CUDA GPU here; use torch (CPU) or onnx")
    if backend == "onnx" and not has_onnx:
        raise UserError(
            "this quality needs onnxruntime or torch; pip install 'gvc-field[base]', or decode with "
            "--quality preview"
        )
    if backend == "onnx":
        return _Onnx(entry, folder)
    return _Torch(entry, folder, "cuda" if backend == "cuda" else "cpu")


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


class _Torch:
    def __init__(self, entry: WeightsEntry, folder: Path, device: str) -> None:
        import torch

        from gvc_base.neural.model import NetConfig, build

        data = read_checked(folder / entry.torch_file, entry.torch_sha256)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        net = build(NetConfig(channels=entry.channels, blocks=entry.blocks))
        net.load_state_dict({name: value.float() for name, value in state.items()})
        # bfloat16 only where the CPU has instructions for it: elsewhere it is far slower than float32.
        supported: Any = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
        self._torch, self._device = torch, torch.device(device)
        self._half = device == "cuda" or bool(supported())
        self._net = net.eval().to(self._device)
        self.label = f"{entry.label} torch {device} {'bf16' if self._half else 'fp32'}"

    def restore(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        """See `Restorer`."""
        torch, (h, w) = self._torch, current.shape[:2]
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._half),
        ):
            inputs = [self._picture(_padded(p)) for p in (current, ahead, memory)]
            facts = torch.from_numpy(np.ascontiguousarray(planes))[None].to(self._device)
            shown, spread, texture = self._net(*inputs, facts)
            pixels = (shown[0].float() * 255).round_().clamp_(0, 255).to(torch.uint8)
            out = pixels.permute(1, 2, 0).cpu().numpy()
            log_variance = spread[0, 0].float().cpu().numpy()
            amplitudes = texture[0].float().cpu().numpy()
        return np.ascontiguousarray(out[:h, :w]), log_variance, amplitudes

    def _picture(self, picture: U8) -> Any:
        tensor = self._torch.from_numpy(picture).to(self._device).permute(2, 0, 1)[None]
        return tensor.float().div_(255)


class _Onnx:
    def __init__(self, entry: WeightsEntry, folder: Path) -> None:
        import onnxruntime

        data = read_checked(folder / entry.onnx_file, entry.onnx_sha256)
        wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()]
        self._session: Any = onnxruntime.InferenceSession(data, providers=providers)
        used = self._session.get_providers()[0].removesuffix("ExecutionProvider").lower()
        self.label = f"{entry.label} onnx {used}"

    def restore(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        """See `Restorer`."""
        h, w = current.shape[:2]
        names = ("current", "ahead", "memory")
        feed: dict[str, F32] = {"planes": planes[None]}
        for name, picture in zip(names, (current, ahead, memory), strict=True):
            planar = _padded(picture).transpose(2, 0, 1)[None]
            feed[name] = planar.astype(np.float32) / np.float32(255)
        names_out = ["picture", "log_variance", "texture"]
        shown, spread, texture = self._session.run(names_out, feed)
        pixels = np.clip(np.rint(shown[0] * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        log_variance = np.asarray(spread[0, 0], np.float32)
        return (
            np.ascontiguousarray(pixels[:h, :w]),
            log_variance,
            np.asarray(texture[0], np.float32),
        )


def _padded(picture: U8) -> U8:
    h, w = picture.shape[:2]
    down, right = -h % CELL_PX, -w % CELL_PX
    if not (down or right):
        return np.ascontiguousarray(picture)
    bordered = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(bordered, np.uint8)
