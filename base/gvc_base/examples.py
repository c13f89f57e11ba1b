"""Examples for the `--help` of the base's commands; some say theirs in their own text."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "run": (
        "gvc-base run --link serial:/dev/ttyUSB0 -p sik-64 --archive mission.db",
        "gvc-base run --link udp://0.0.0.0:7000 -p udp --archive mission.db --key link.key",
    ),
    "replay": ("gvc-base replay mission.db  # the console on recorded time",),
    "decode": (
        "gvc-base decode mission.db --out mission.mp4 --quality best",
        "gvc-base decode flight.pcap --out seen.mp4 --received-only  # evidence alone",
    ),
    "verify": (
        "gvc-base verify mission.db  # was a row changed?",
        "gvc-base verify mission.mp4  # what is real in it, and who signed it",
    ),
    "trace": (
        "gvc-base trace mission.db --frame 118 --at 320,200 --marks mission.marks.npz",
    ),
    "impair": (
        "gvc-base impair flight.pcap --out bad.pcap --loss 0.2 --burst 3 --seed 7",
    ),
    "rehearse": (
        "gvc-base rehearse flight.mp4 -p lora-sf7-125 --loss 0.2 --burst 3 --out trial",
        "gvc-base rehearse synthetic:flood -p udp --bps 12000 --out trial",
    ),
    "profiles": ("gvc-base profiles  # radios, their rates and laws, and the link each takes",),
    "check": (
        "gvc-base check -p sik-64 --link serial:/dev/ttyUSB0  # reads only",
        "gvc-base check -p sik-64 --link serial:/dev/ttyUSB0 --apply  # writes what differs",
    ),
    "completion": (
        "eval \"$(gvc-base completion bash)\"  # in ~/.bashrc",
        "gvc-base completion fish > ~/.config/fish/completions/gvc-base.fish",
    ),
    "ask keyframe": ("gvc-base ask keyframe --archive mission.db  # start afresh",),
    "ask region": (
        "gvc-base ask region 320,200,128,96 --archive mission.db  # its real pixels",
    ),
    "ask rate": ("gvc-base ask rate 12000 --archive mission.db  # bit/s; 0: the edge chooses",),
    "ask text": ('gvc-base ask text "come home" --archive mission.db',),
    "ask resume": ("gvc-base ask resume --archive mission.db  # send again what was lost",),
}  # fmt: skip
