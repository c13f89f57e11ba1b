"""What runs the network where nobody says."""

from __future__ import annotations

import pytest

from gvc_base.neural.runtime import make_restorer


@pytest.mark.parametrize(
    ("has", "runs"),
    [
        ({"avx2": True}, "onnx"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "onnx"),
        ({"avx512_f": True, "avx512_bf16": True}, "torch cpu bf16"),
        ({"neon": True, "bf16": True}, "torch cpu bf16"),
    ],
)
def test_half_precision_only_where_the_processor_has_it(
    has: dict[str, bool], runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated on plain AVX-512 it took longer than ONNX Runtime."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert runs in make_restorer("auto").label
