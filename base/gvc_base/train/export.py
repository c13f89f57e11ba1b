"""A trained network to the two files that the package ships: torch (half precision) and ONNX.

Both hold the same half-precision numbers; the network computes in single precision from them. The index
entry carries their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any, cast

import torch

from gvc_base.neural.layout import CELL_PX, PLANES
from gvc_base.neural.model import EvidenceNet, NetConfig, build
from gvc_base.train.loop import network_of

__all__ = ["export", "to_onnx"]


def export(checkpoint: Path, folder: Path, name: str = "evidence") -> dict[str, object]:
    """Write weights and index entry; returns what the checkpoint says of its run."""
    net, about = network_of(checkpoint)
    half = {key: value.half() for key, value in net.state_dict().items()}
    rounded = build(NetConfig(channels=net.config.channels, blocks=net.config.blocks))
    rounded.load_state_dict({key: value.float() for key, value in half.items()})
    buffer = io.BytesIO()
    torch.save(half, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    torch_file, torch_hash = _named(folder, name, ".pt", buffer.getvalue())
    onnx_file, onnx_hash = _named(folder, name, ".onnx", to_onnx(rounded.eval()))
    index_path = folder / "index.json"
    index = json.loads(index_path.read_text()) if index_path.exists() else {}
    index[name] = {
        "channels": net.config.channels, "blocks": net.config.blocks,
        "torch_file": torch_file, "torch_sha256": torch_hash,
        "onnx_file": onnx_file, "onnx_sha256": onnx_hash,
    }  # fmt: skip
    index_path.write_text(json.dumps(index, indent=2) + "\n")
    return about


def to_onnx(net: EvidenceNet) -> bytes:
    """The network as an ONNX model, its weights stored in half precision."""
    import onnx
    from onnx import helper, numpy_helper

    side = 8 * CELL_PX
    pictures = [torch.rand(1, 3, side, side) for _ in range(3)]
    planes = torch.rand(1, PLANES, side // CELL_PX, side // CELL_PX)
    buffer = io.BytesIO()
    free = {2: "height", 3: "width"}
    names = ["current", "ahead", "memory"]
    torch.onnx.export(
        net, (*pictures, planes), cast(Any, buffer), dynamo=False, opset_version=17,
        input_names=[*names, "planes"], output_names=["picture", "log_variance", "texture"],
        dynamic_axes={
            **dict.fromkeys([*names, "picture"], free),
            **{name: {2: "rows", 3: "columns"} for name in ("planes", "log_variance", "texture")},
        },
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
