"""The walls between the packages stand: what may import what, and what the edge does without."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [str(ROOT / name) for name in ("edge", "base", "protocol", "firmware_profiles")]


def run_isolated(code: str) -> subprocess.CompletedProcess[str]:
    """Python without the caller's environment and folder; the four packages on the path."""
    start = f"import sys; sys.path[:0] = {PACKAGES!r}\n"
    command = [sys.executable, "-I", "-c", start + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_import_contracts_hold() -> None:
    pytest.importorskip("importlinter")
    done = run_isolated(
        "import os; os.chdir(" + repr(str(ROOT)) + ")\n"
        "from importlinter.cli import lint_imports\n"
        "sys.exit(lint_imports(no_cache=True))"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.search(r"(\d+) kept, 0 broken", done.stdout)
    assert kept and int(kept[1]) >= 3, done.stdout


@pytest.mark.parametrize("module", ["gvc_edge.cli", "gvc_protocol.sender", "gvc_profiles.load"])
def test_the_edge_runs_without_a_gpu_stack_and_without_the_archive(module: str) -> None:
    """A module that is not there at all makes its import fail; so would even a hidden one here."""
    absent = ("torch", "torchvision", "onnxruntime", "sqlite_utils", "fastapi")
    done = run_isolated(
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        f"import importlib; importlib.import_module({module!r})\n"
        "print(*(m for m in sys.modules if m.startswith('gvc_base')))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", "the edge loaded a part of the base"


def test_help_of_the_base_needs_none_of_what_decodes_and_archives() -> None:
    """Commands load what they need themselves, so that help and completion are there at once."""
    absent = ("numpy", "cv2", "av", "sqlite_utils", "torch", "onnxruntime", "starlette", "asyncio")
    done = run_isolated(
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from gvc_base.cli import main\n"
        "sys.argv = ['gvc-base', '--help']\n"
        "main()"
    )
    assert done.returncode == 0, done.stderr
    assert "rehearse" in done.stdout


def test_every_protocol_module_stands_alone() -> None:
    names = sorted(p.stem for p in (ROOT / "protocol" / "gvc_protocol").glob("*.py"))
    absent = (
        "socket",
        "asyncio",
        "multiprocessing",
        "sqlite3",
        "serial",
        "cv2",
        "av",
        "typer",
        "rich",
    )
    done = run_isolated(
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import importlib\n"
        f"for name in {names!r}: importlib.import_module('gvc_protocol.' + name)\n"
        "print(*(m for m in sys.modules if m.startswith(('gvc_base', 'gvc_edge', 'gvc_profiles'))))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
