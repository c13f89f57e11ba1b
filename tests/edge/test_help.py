"""Help and completion of both programs: examples that parse, words that are there, a real shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from gvc_base.cli import app as base_app
from gvc_base.examples import EXAMPLES as BASE_EXAMPLES
from gvc_edge.cli import app as edge_app
from gvc_edge.examples import EXAMPLES as EDGE_EXAMPLES
from gvc_edge.examples import FIRST, PANELS
from gvc_profiles.cli_help import commands
from gvc_profiles.completion import Shell, script
from gvc_profiles.load import names

APPS = {"gvc-edge": edge_app, "gvc-base": base_app}
LINES = [
    *FIRST,
    *(line for lines in (*EDGE_EXAMPLES.values(), *BASE_EXAMPLES.values()) for line in lines),
    *(line for _, info in commands(edge_app) if info.epilog for line in info.epilog.split("\n\n")[1:]),
]  # fmt: skip


def test_every_command_of_the_edge_has_an_example() -> None:
    for name, info in commands(edge_app):
        assert info.epilog and f"{name}" in info.epilog, name
        assert info.callback and info.callback.__doc__, name
    in_panels = {name for names_ in PANELS.values() for name in names_}
    assert in_panels == {name.split(" ")[0] for name, _ in commands(edge_app)}


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_every_example_is_a_command_line_that_is_understood(line: str) -> None:
    """Options and arguments of each example exist; nothing is run."""
    words = shlex.split(re.sub(r" 2?> .*", "", line.partition("  # ")[0]).removeprefix("sudo "))
    if words[0] == "eval":
        words = shlex.split(words[1].strip("$()"))
    command: Any = typer.main.get_command(APPS[words[0]])
    context = click.Context(command, info_name=words[0])
    rest = words[1:]
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
        context = type(context)(command, info_name=command.name, parent=context)
    parser = command.make_parser(context)
    _, left, _ = parser.parse_args(list(rest))
    assert not left, f"not understood: {left}"


@pytest.mark.parametrize("program", APPS)
def test_help_shows_the_examples(program: str) -> None:
    shown = CliRunner().invoke(APPS[program], ["run", "--help"], env={"COLUMNS": "100"})
    assert shown.exit_code == 0 and "Examples:" in shown.output
    assert f"{program} run --link" in shown.output or f"{program} run  #" in shown.output


def complete(program: str, line: str) -> list[str]:
    """What the program offers for a line whose last word is begun."""
    words = line.split(" ")
    done = CliRunner().invoke(
        APPS[program], [], prog_name=program,
        env={
            f"_{program.replace('-', '_').upper()}_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1),
        },
    )  # fmt: skip
    return done.output.split()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("gvc-edge do", {"doctor"}),
        ("gvc-edge run --profile sik", {n for n in names() if n.startswith("sik")}),
        ("gvc-edge run -p kiss-ax25-1200 --link kiss+", {"kiss+tcp://"}),
        ("gvc-edge run --link ud", {"udp://"}),
        ("gvc-edge run --source synth", {"synthetic:flood"}),
        ("gvc-edge run --fec o", {"off"}),
        ("gvc-edge completion z", {"zsh"}),
        ("gvc-edge check --profile wfb", {"wfb-ng"}),
        ("gvc-base run --profile udp --link u", {"udp://"}),
        ("gvc-base rehearse x --profile iridium-s", {"iridium-sbd"}),
    ],
)
def test_completion(line: str, some: set[str]) -> None:
    assert set(complete(line.split(" ")[0], line)) == some


@pytest.mark.parametrize("shell", Shell)
@pytest.mark.parametrize("program", APPS)
def test_scripts_speak_of_their_program(shell: Shell, program: str) -> None:
    shown = CliRunner().invoke(APPS[program], ["completion", shell.value], prog_name=program)
    assert shown.output == script(program, shell) and "@" not in shown.output.replace("[@]", "")
    assert f"_{program.replace('-', '_').upper()}_COMPLETE=complete_{shell.value}" in shown.output
    binary = shutil.which(shell.value)
    if binary is not None:
        checked = subprocess.run([binary, "-n", "/dev/stdin"], input=shown.output, text=True,
                                 capture_output=True, timeout=30)  # fmt: skip
        assert checked.returncode == 0, checked.stderr


def test_bash_completes_past_colons(tmp_path: Path) -> None:
    """A real bash, whose own idea of a word ends at each colon."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    program = tmp_path / "gvc-edge"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'gvc-edge'\n"
        "from gvc_edge.cli import main\nmain()\n"
    )
    program.chmod(0o755)
    line = "gvc-edge run --source synthetic:fl"
    asked = (
        f"{script('gvc-edge', Shell.BASH)}\nCOMP_WORDBREAKS=' :='\n"
        f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
        "_gvc_edge_completion gvc-edge\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "--norc", "-c", asked], env=environment, capture_output=True, text=True, timeout=120
    )
    # What stands before the colon is on the line already.
    assert done.stdout.split() == ["flood"], done.stderr
