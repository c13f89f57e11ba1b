"""A trained network to the two files that the package ships: torch (half precision) and ONNX.

Both hold the same half-precision numbers; the network computes in single precision from them. The index
entry carries their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from gvc_base.neural.layout import CELL_PX, CONTEXT_PLANES, PLANES
from gvc_base.neural.model import NetConfig, build
from gvc_base.neural.refine import build_refiner
from gvc_base.train.loop import load_average, shape_of

__all__ = ["evidence_onnx", "export", "refine_onnx"]


def export(checkpoint: Path, folder: Path, name: str = "evidence") -> dict[str, object]:
    """Write weights and index entry; returns what the checkpoint says of its run.

    Args:
        name: "evidence" or "refine".
    """
    shape = shape_of(checkpoint)
    make, onnx_of = _KINDS[name]
    net, rounded = make(shape), make(shape)
    about = load_average(checkpoint, net)
    half = {key: value.half() for key, value in net.state_dict().items()}
    rounded.load_state_dict({key: value.float() for key, value in half.items()})
    buffer = io.BytesIO()
    torch.save(half, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    torch_file, torch_hash = _named(folder, name, ".pt", buffer.getvalue())
    onnx_file, onnx_hash = _named(folder, name, ".onnx", onnx_of(rounded.eval()))
    index_path = folder / "index.json"
    index = json.loads(index_path.read_text()) if index_path.exists() else {}
    index[name] = {
        "channels": shape.channels, "blocks": shape.blocks,
        "torch_file": torch_file, "torch_sha256": torch_hash,
        "onnx_file": onnx_file, "onnx_sha256": onnx_hash,
    }  # fmt: skip
    index_path.write_text(json.dumps(index, indent=2) + "\n")
    return about


_FREE = {2: "height", 3: "width"}
_CELLS = {2: "rows", 3: "columns"}
_SIDE = 8 * CELL_PX


def evidence_onnx(net: nn.Module) -> bytes:
    """EvidenceNet as an ONNX model, its weights stored in half precision."""
    pictures = [torch.rand(1, 3, _SIDE, _SIDE) for _ in range(3)]
    planes = torch.rand(1, PLANES, _SIDE // CELL_PX, _SIDE // CELL_PX)
    axes = {
        **dict.fromkeys(["current", "ahead", "memory", "picture"], _FREE),
        **dict.fromkeys(["planes", "log_variance", "texture"], _CELLS),
    }
    names = ["current", "ahead", "memory", "planes"]
    outputs = ["picture", "log_variance", "texture"]
    return _to_onnx(net, (*pictures, planes), names, outputs, axes)


def refine_onnx(net: nn.Module) -> bytes:
    """RefineNet's velocity as an ONNX model."""
    pictures = [torch.rand(1, 3, _SIDE, _SIDE) for _ in range(3)]
    cells = (_SIDE // CELL_PX, _SIDE // CELL_PX)
    planes = [torch.rand(1, CONTEXT_PLANES, *cells), torch.rand(1, 1, *cells)]
    names = ["state", "restored", "memory", "context", "time"]
    axes = {
        **dict.fromkeys(["state", "restored", "memory", "velocity"], _FREE),
        **dict.fromkeys(["context", "time"], _CELLS),
    }
    return _to_onnx(net, (*pictures, *planes), names, ["velocity"], axes)


_KINDS: dict[str, tuple[Callable[[NetConfig], nn.Module], Callable[[nn.Module], bytes]]] = {
    "evidence": (build, evidence_onnx),
    "refine": (build_refiner, refine_onnx),
}


def _to_onnx(
    net: nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> bytes:  # fmt: skip
    import onnx
    from onnx import helper, numpy_helper

    buffer = io.BytesIO()
    torch.onnx.export(
        net, inputs, cast(Any, buffer), dynamo=False, opset_version=17, input_names=names,
        output_names=outputs, dynamic_axes=axes,
    )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    casts = []
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != "float32" or values.size < 1024:
            continue
        stored = numpy_helper.from_array(values.astype("float16"), tensor.name + "_half")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(stored)
        to = onnx.TensorProto.FLOAT
        casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=to))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _named(folder: Path, name: str, suffix: str, data: bytes) -> tuple[str, str]:
    """Write a file under its hash, in place of an earlier one of this name; (file name, SHA-256)."""
    for old in folder.glob(f"{name}-*{suffix}"):
        old.unlink()
    digest = hashlib.sha256(data).hexdigest()
    file = f"{name}-{digest[:8]}{suffix}"
    (folder / file).write_bytes(data)
    return file, digest
