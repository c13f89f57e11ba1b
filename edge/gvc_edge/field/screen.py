"""One screen of a running mission, as lines of text: pure, for any width from 40 and height from 12.

The state is said by word, shape and colour, so that any two may be missing. What does not fit goes in
this order: the log, second lines, the big word; state, reasons and what to do stay.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from gvc_edge.field.banner import banner
from gvc_edge.field.board import Said, View
from gvc_edge.field.verdict import Reason, State

__all__ = ["draw", "status_line"]

_COLOURS = {
    State.STARTING: "bold white on grey37", State.SENDING: "bold white on blue",
    State.GOOD: "bold white on dark_green", State.DEGRADED: "bold black on yellow",
    State.NO_CAMERA: "bold white on purple4", State.LINK_DOWN: "bold white on red3",
}  # fmt: skip
_LADDER = ("full motion", "fewer frames", "stills", "descriptors only")
_LABEL = 9


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    chips: tuple[str, ...]
    style: str = ""


def draw(view: View, width: int, height: int, *, unicode: bool = True) -> list[Text]:
    """The lines of the screen, `height` at most, none wider than `width`."""
    state = view.verdict.states[0]
    big = [Text(line, style=_COLOURS[state]) for line in banner(state.word, width, unicode=unicode)]
    facts = [_pack(row, width) for row in _rows(view)]
    whole, first = [line for packed in facts for line in packed], [packed[0] for packed in facts]
    reasons = view.verdict.reasons
    rest = height - 2  # headline and foot
    for shown, told, lines in ((big, 2, whole), (big, 2, first), (big, 1, first), ([], 1, first)):
        why = _reasons(reasons[:told], width)
        if len(shown) + len(why) + len(lines) <= rest:
            break
    body = [*shown, *why, *lines]
    body = [*body, *_log(view.log, width, rest - len(body) - 1)][:rest]
    body += [Text("")] * (rest - len(body))
    foot = Text('Ctrl-C ends. Talk: gvc-edge say "TEXT"'[:width], style="dim")
    lines = [_headline(view, width, unicode), *body, foot]
    return lines if unicode else [_ascii(line) for line in lines]


def status_line(view: View, *, unicode: bool = True) -> str:
    """The screen in one line, for logs and screen readers."""
    words = " + ".join(s.word for s in view.verdict.states)
    chips = {row.label: ", ".join(row.chips[:2]) for row in _rows(view)}
    facts = [
        f"{name} {chips[name]}" for name in ("sent", "picture", "queue", "base") if name in chips
    ]
    return f"{words} | " + " | ".join(facts)


def _headline(view: View, width: int, unicode: bool) -> Text:
    shape = 0 if unicode else 1
    states = "  ".join(f"{s.value[shape]} {s.word}" for s in view.verdict.states)
    f = view.facts
    hours, rest = divmod(int(view.running_s), 3600)
    up = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    boot = f" boot {f.boot}" if f.boot else ""
    clock = f"{view.clock} UTC"
    where = f"camera {f.stream}{boot}  {clock}  up {up}"
    for tail in (where, f"camera {f.stream}  {clock}", clock, ""):
        if len(states) + len(tail) + 2 <= width:
            break
    text = Text(f"{states}{tail.rjust(width - len(states))}")
    text.stylize("bold", 0, len(states))
    text.truncate(width)
    return text


def _reasons(reasons: tuple[Reason, ...], width: int) -> list[Text]:
    lines = []
    for reason in reasons:
        lines += _pack(_Row("WHY", (reason.what,), "bold"), width)
        lines += _pack(_Row("DO", tuple(reason.todo.split(", ")), "bold"), width)
    return lines


def _rows(view: View) -> list[_Row]:
    return [
        _sent(view), _picture(view), _queue(view), _airtime(view), _base(view),
        _last("asked", view.asked), _messages(view), _camera(view), _machine(view), _trust(view),
    ]  # fmt: skip


def _sent(view: View) -> _Row:
    look = view.look
    if look is None:
        return _Row("sent", ("nothing yet",))
    limit = f" (at most {_kbit(view.facts.ceiling_bps)})"
    below = look.rate_bps < 0.99 * view.facts.ceiling_bps
    rate = f"{_kbit(view.sent_bps)} of {_kbit(look.rate_bps)} kbit/s{limit if below else ''}"
    return _Row("sent", (rate, _bytes(look.air_bytes), f"{look.packets} packets"))


def _picture(view: View) -> _Row:
    look = view.look
    if look is None:
        return _Row("picture", ("-",))
    step = "not yet" if look.ladder is None else \
        f"step {look.ladder}: {_LADDER[min(look.ladder, len(_LADDER) - 1)]}"  # fmt: skip
    steered = "steered by the base" if look.closed_loop else "fixed rate"
    known = look.ladder is not None or not look.frames  # some codecs have no ladder
    chips = [
        *([step] if known else []),
        f"fec {look.fec_percent:.0f} %",
        f"units of {view.facts.unit_s:g} s",
        steered,
    ]
    if look.interleave:
        chips.insert(-1, f"interleave {look.interleave}")
    return _Row("picture", tuple(chips))


def _queue(view: View) -> _Row:
    look = view.look
    if look is None:
        return _Row("queue", ("-",))
    chips = [f"{8 * look.queue_bytes / max(look.rate_bps, 1):.1f} s to send",
             _bytes(look.queue_bytes)]  # fmt: skip
    if look.dropped:
        chips.append(f"{look.dropped} packets dropped so far")
    return _Row("queue", tuple(chips))


def _airtime(view: View) -> _Row:
    look = view.look
    if look is None or look.airtime_used is None:
        return _Row("airtime", ("no limit by law in this profile" if look else "-",))
    chips = [f"{100 * (1 - look.airtime_used):.0f} % of the hour's left", look.airtime_band]
    if look.held_until is not None and look.held_until > view.now:
        chips.insert(0, f"next packet in {look.held_until - view.now:.0f} s")
    return _Row("airtime", tuple(chips))


def _base(view: View) -> _Row:
    look = view.look
    if not view.facts.two_way:
        return _Row("base", ("one-way radio", "nobody can confirm: ask by voice"))
    if look is None or look.reported_at is None:
        return _Row("base", ("no report yet",))
    chips = [f"report {_age(view.now - look.reported_at)} ago"]
    if view.loss is not None:
        chips.append(f"{100 * view.loss:.0f} % lost on the way")
    report = look.report
    if report is not None and report.rssi_dbm is not None:
        chips.append(f"hears us at {report.rssi_dbm} dBm")
    if report is not None and report.queue > 1:
        chips.append(f"{report.queue} units wait for its decoder")
    return _Row("base", tuple(chips))


def _last(label: str, said: tuple[Said, ...]) -> _Row:
    if not said:
        return _Row(label, ("-",))
    return _Row(label, tuple(f"{s.clock} {s.text}" for s in said[-2:][::-1]))


def _messages(view: View) -> _Row:
    """The newest of each side; the base's first, as it may be an order."""
    chips = [f"{s.clock} base: {s.text}" for s in view.heard[-1:]]
    for said, delivered in view.told[-1:]:
        fate = "the base has it" if delivered else "on the way"
        chips.append(f"{said.clock} you: {said.text} ({fate})")
    return _Row("message", tuple(chips) or ("-",), "bold" if view.heard else "")


def _camera(view: View) -> _Row:
    f = view.facts
    if not f.source:
        return _Row("camera", ("-",))
    size = f"{f.size[0]}x{f.size[1]} {f.fps:g}/s" if f.fps else ""
    frames = "" if view.look is None else f"{view.look.frames} frames sent"
    return _Row("camera", tuple(c for c in (f.source, size, frames) if c))


def _machine(view: View) -> _Row:
    chips = []
    if view.free_bytes is not None:
        chips.append(f"disk {_bytes(view.free_bytes)} free")
    if view.busy is not None:
        chips.append(f"encoder {100 * view.busy:.0f} % busy")
    if view.machine.temperature_c is not None:
        chips.append(f"{view.machine.temperature_c:.0f} °C")
    if view.machine.throttled:
        chips.append(view.machine.throttled)
    return _Row("machine", tuple(chips) or ("-",))


def _trust(view: View) -> _Row:
    f = view.facts
    hidden = ("encrypted",) if f.encrypted else ()
    sure = not f.label.startswith("unauthenticated")
    chips = (f.label or "-", *hidden) if sure else (f.label, "anybody can send in your name")
    return _Row("trust", chips, "" if sure else "bold")


def _log(log: tuple[Said, ...], width: int, room: int) -> list[Text]:
    if room <= 0 or not log:
        return []
    lines = [Text("-" * width, style="dim")]
    lines += [_cut(f"{s.clock} {s.text}", width) for s in log[-room:]]
    return lines


def _pack(row: _Row, width: int) -> list[Text]:
    """A row's chips, as many to a line as fit; a chip that is longer than a line is wrapped."""
    lines, line = [], ""
    for number, chip in enumerate(row.chips):
        piece = chip + ("," if number + 1 < len(row.chips) else "")
        if line and len(line) + 1 + len(piece) > width - _LABEL:
            lines.append(line)
            line = ""
        line = f"{line} {piece}" if line else piece
        while len(line) > width - _LABEL:
            cut = line.rfind(" ", 1, width - _LABEL + 1)
            cut = cut if cut > 0 else width - _LABEL
            lines.append(line[:cut])
            line = line[cut:].lstrip()
    lines.append(line)
    out = []
    for number, text in enumerate(lines):
        label = row.label if number == 0 else ""
        made = Text(f"{label:{_LABEL}}{text}", style=row.style)
        made.stylize("bold cyan" if not row.style else row.style, 0, len(label))
        out.append(made)
    return out


def _cut(text: str, width: int) -> Text:
    made = Text(text, style="dim")
    made.truncate(width, overflow="ellipsis")
    return made


def _ascii(line: Text) -> Text:
    """For terminals that know no other letters."""
    made = line.copy()
    made.plain = line.plain.replace("…", "~").replace("°", " ").encode("ascii", "replace").decode()
    return made


def _kbit(bps: float) -> str:
    return f"{bps / 1000:.1f}" if bps >= 1000 else f"{bps / 1000:.2f}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
