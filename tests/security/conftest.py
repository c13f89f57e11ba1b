"""The programs without a process each, as the end-to-end tests run them."""

from __future__ import annotations

from tests.e2e.conftest import edge_here

__all__ = ["edge_here"]
