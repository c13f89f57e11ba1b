"""Completion: what may stand behind an option, and `completion SHELL`, which needs no network.

The scripts speak typer's own completion (`_PROGRAM_COMPLETE=complete_SHELL`). Bash takes a colon for the
end of a word, and every link and camera has one, so the words are cut from the line itself.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gvc_profiles.find import cameras, link_for, link_forms, serial_ports
from gvc_profiles.keys import default_key_path
from gvc_profiles.load import load, names
from gvc_protocol.errors import UserError

__all__ = [
    "Shell", "complete_fec", "complete_key", "complete_link", "complete_objects",
    "complete_profile", "complete_source", "completion", "script",
]  # fmt: skip


class Shell(StrEnum):
    """Shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {
    Shell.BASH: r"""
_@FUNC@_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \t\n' word
    local -a parts
    read -ra parts <<< "$line"
    [[ $line == *[[:space:]] ]] && parts+=("")
    word="${parts[${#parts[@]}-1]}"
    IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${parts[*]}" COMP_CWORD=$(( ${#parts[@]} - 1 )) \
                   _@VAR@_COMPLETE=complete_bash "$1" ) )
    # Readline replaces what stands behind the last colon only.
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=( "${COMPREPLY[@]#"${word%"${word##*:}"}"}" )
    fi
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:/=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _@FUNC@_completion @PROG@
""",
    Shell.ZSH: r"""
#compdef @PROG@
_@FUNC@_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _@VAR@_COMPLETE=complete_zsh @PROG@)
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _@FUNC@_completion @PROG@
""",
    Shell.FISH: (
        "complete --command @PROG@ --arguments "
        '"(env _@VAR@_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args '
        '_TYPER_COMPLETE_ARGS=(commandline -cp) @PROG@)" --condition '
        '"env _@VAR@_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args '
        '_TYPER_COMPLETE_ARGS=(commandline -cp) @PROG@"\n'
    ),
}


def script(program: str, shell: Shell) -> str:
    """What the shell reads to complete this program."""
    func = program.replace("-", "_")
    text = _SCRIPTS[shell].replace("@FUNC@", func).replace("@VAR@", func.upper())
    return text.replace("@PROG@", program).lstrip("\n")


def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(help="Whose script: bash, zsh or fish.")],
) -> None:
    """Print the script that completes commands, options, radios, ports and cameras in your shell."""
    program = context.find_root().info_name or ""
    print(script(program if program.startswith("gvc-") else "gvc-edge", shell), end="")


def complete_profile(incomplete: str) -> list[tuple[str, str]]:
    """Radios by name, with their titles."""
    return [(name, load(name).title) for name in names() if name.startswith(incomplete)]


def complete_link(context: typer.Context, incomplete: str) -> list[str]:
    """Links of the profile that was named, on the ports that are there; else of every kind."""
    ports = [port.path for port in serial_ports()]
    found = []
    for name in _named(context.params.get("profile")):
        profile = load(name)
        on_ports = [link_for(profile, port) for port in ports]
        found += [link for link in on_ports if link] or [_begun(f) for f in link_forms(profile)]
    if not found:
        found = [f"serial:{port}" for port in ports] or ["serial:/dev/"]
    return [link for link in dict.fromkeys([*found, "udp://"]) if link.startswith(incomplete)]


def complete_source(incomplete: str) -> list[tuple[str, str]]:
    """Cameras that are there, and what else begins a source."""
    found = [(f"v4l2:{camera.path}", camera.name) for camera in cameras()]
    found += [("rtsp://", "network camera"), ("synthetic:flood", "drawn by a program")]
    return [(url, name) for url, name in found if url.startswith(incomplete)]


def complete_key(incomplete: str) -> list[str]:
    """The usual key file, where there is one; bash goes on with files."""
    path = default_key_path()
    return [str(path)] if path.exists() and str(path).startswith(incomplete) else []


def complete_fec(incomplete: str) -> list[str]:
    """Redundancy."""
    return [word for word in ("auto", "off", "15", "30", "60") if word.startswith(incomplete)]


def complete_objects(incomplete: str) -> list[str]:
    """Who finds objects."""
    return [word for word in ("movers", "people", "none") if word.startswith(incomplete)]


def _named(profile: object) -> list[str]:
    """The profiles of the line that can be read; `gvc-base` takes several."""
    given = profile if isinstance(profile, list | tuple) else [profile]
    found = []
    for name in given:
        try:
            if isinstance(name, str) and (name in names() or Path(name).suffix == ".toml"):
                load(name)
                found.append(name)
        except UserError:
            continue
    return found


def _begun(form: str) -> str:
    """The part of a form that is the same for all: kiss:, kiss+tcp://."""
    for blank in ("DEVICE", "HOST", "MODE", "HASH"):
        form = form.partition(blank)[0]
    return form
