"""One key, one server a test, and no waiting that is for the field alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gvc_base.archive_seal import Signer, load_signer
from tests.post.nats import NatsServer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sync, and less patience: nothing here is about power cuts or a polite pause."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")
    for name in ("sender", "receiver"):
        monkeypatch.setattr(f"gvc_base.post.{name}._BACKOFF_S", (0.1,))
    monkeypatch.setattr("gvc_base.post.sender._LOOK_S", 0.05)
    monkeypatch.setattr("gvc_base.post.sender._ACK_S", 2.0)


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    made = load_signer(tmp_path_factory.mktemp("state"))
    assert made is not None
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "server").start()
    yield made
    made.kill()
