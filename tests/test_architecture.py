"""The house rules that an import can break, and the promises of the README that a command can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gvc_profiles.listing import profile_lines

ROOT = Path(__file__).resolve().parents[1]


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["gvc_protocol.receiver", "gvc_profiles", "gvc_edge.cli"])
def test_the_edge_starts_without_the_base_stack(module: str) -> None:
    """The static contract misses dynamic imports; this does not."""
    block = "".join(
        f"sys.modules[{name!r}] = None;"
        for name in ("torch", "onnxruntime", "sqlite_utils", "gvc_base")
    )
    code = f"import sys; {block} import {module}"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_the_base_starts_without_the_edge_and_torch() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['gvc_edge'] = None; import gvc_base.cli"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


@pytest.mark.parametrize("package", ["gvc_edge", "gvc_base"])
def test_both_programs_list_the_profiles(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", package, "profiles"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == profile_lines()


def test_files_stay_readable() -> None:
    sources = [p for top in ("edge", "base", "protocol", "firmware_profiles") for p in
               (ROOT / top).rglob("*.py")]  # fmt: skip
    long = {str(p.relative_to(ROOT)): n for p in sources if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_the_readme_names_only_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for line in text.splitlines():
        words = line.split()
        if line.startswith("make "):
            assert f"\n{words[1]}:" in makefile, line
        if line.startswith(("gvc-edge ", "gvc-base ")):
            package = words[0].replace("-", "_")
            options = {w for w in words if w.startswith("--")}
            help_text = subprocess.run(
                [sys.executable, "-m", package, words[1], "--help"], capture_output=True, text=True,
                env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "TERM": "dumb"},
            ).stdout  # fmt: skip
            assert options <= {o for o in options if o in help_text}, line
