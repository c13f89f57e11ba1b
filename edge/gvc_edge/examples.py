"""Examples of every command, for its `--help`, and how the commands are grouped."""

from __future__ import annotations

__all__ = ["EXAMPLES", "FIRST", "PANELS"]

FIRST = (
    "gvc-edge config init  # once: finds cameras and ports, asks for the radio",
    "gvc-edge doctor  # is everything there and set right?",
    "gvc-edge run  # from power-on to video",
    "sudo gvc-edge install-service  # or video at each power-on, by itself",
)

PANELS = {
    "In the field": ("run", "doctor", "say"),
    "Set up once": ("config", "keys", "check", "profiles", "install-service", "completion"),
    "Offline": ("encode", "render"),
}

EXAMPLES = {
    "run": (
        "gvc-edge run  # everything from the settings file",
        "gvc-edge run --stream 2 --bps 12000  # the same, but for these two",
        "gvc-edge run --source v4l2:/dev/video0 --link serial:/dev/ttyUSB0 -p sik-64",
        "gvc-edge run --key ~/.config/gvc-field/link.key --encrypt",
        "gvc-edge run -p kiss-ax25-9600 --link 'kiss:/dev/ttyUSB0?call=YOURCALL-1'",
        "gvc-edge run --source synthetic:flood --link udp://10.0.0.2:7000 -p udp  # a trial",
        "gvc-edge run --plain 2> flight.log  # single lines instead of the screen",
    ),
    "doctor": (
        "gvc-edge doctor  # ok, warn or fail, a line each, and what to do",
        "gvc-edge doctor --json  # for a script; exit code 1 when something failed",
        "gvc-edge doctor --source rtsp://10.0.0.3/stream --link udp://10.0.0.2:7000 -p udp",
    ),
    "say": (
        'gvc-edge say "we turn back"  # the screen tells when the base has it',
        'gvc-edge say "battery 20 %" --state /var/lib/gvc-edge  # through the service',
    ),
    "config init": (
        "gvc-edge config init  # asks; Enter takes what it found",
        "gvc-edge config init --yes -p sik-64  # the first camera, the only serial port",
        "gvc-edge config init --region EU --out /etc/gvc-field/edge.toml",
        "gvc-edge config init --yes -p kiss-ax25-1200 --call YOURCALL-1 --overwrite",
    ),
    "config show": (
        "gvc-edge config show  # each setting, and where it comes from",
        "gvc-edge config show --config /etc/gvc-field/edge.toml --json",
    ),
    "install-service": (
        "sudo gvc-edge install-service  # for the machine, as whoever called sudo",
        "gvc-edge install-service --user  # yours alone, without root",
        "gvc-edge install-service --print  # show the unit, do no more",
        "sudo gvc-edge install-service --uninstall  # settings and recordings stay",
    ),
    "check": (
        "gvc-edge check -p sik-64 --link serial:/dev/ttyUSB0  # reads only",
        "gvc-edge check -p sik-64 --link serial:/dev/ttyUSB0 --apply  # writes what differs",
    ),
    "encode": (
        "gvc-edge encode flight.mp4 -p sik-64 --out flight.pcap",
        "gvc-edge encode flight.mp4 -p udp --bps 2500 --fec off --latency 8 -o small.pcap",
        "gvc-edge encode synthetic:flood -p lora-sf7-125 --seconds 20 --out flood.pcap --json",
    ),
    "render": (
        "gvc-edge render synthetic:flood --out flood.mp4  # and flood.json, its true boxes",
        "gvc-edge render 'synthetic:flood?seed=7&size=640x360' --seconds 10 --out f.mp4",
    ),
    "profiles": ("gvc-edge profiles  # radios, their rates and laws, and the link each takes",),
    "completion": (
        "eval \"$(gvc-edge completion bash)\"  # in ~/.bashrc",
        "gvc-edge completion zsh > ~/.zfunc/_gvc-edge",
        "gvc-edge completion fish > ~/.config/fish/completions/gvc-edge.fish",
    ),
}  # fmt: skip
