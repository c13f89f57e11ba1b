"""Where the picture and the map are given on to, as the operator writes it.

    --restream [DRONE=]mpegts://HOST:PORT    H.264 and KLV in an MPEG transport stream over UDP
    --restream [DRONE=]rtp://HOST:PORT       H.264 over RTP
    --cot      udp://HOST:PORT               Cursor on Target, one XML event a datagram

HOST is a name, an address, [IPv6], or a multicast group. DRONE is as the console names it (`0-1`: link
and stream); without it the first drone that is heard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from gvc_protocol.errors import UserError

__all__ = ["CotTarget", "VideoKind", "VideoTarget", "cot_targets", "video_targets"]

VideoKind = Literal["mpegts", "rtp"]
_DRONE = re.compile(r"(?P<drone>\d+-\d+)=(?P<url>.*)", re.DOTALL)
_Target = TypeVar("_Target")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTarget:
    """One player, or one multicast group."""

    kind: VideoKind
    host: str
    port: int
    drone_id: str | None = None
    "None: the first drone that is heard."

    @property
    def address(self) -> str:
        """HOST:PORT as it stands in a URL."""
        return _address(self.host, self.port)

    def __str__(self) -> str:
        return f"{self.kind}://{self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CotTarget:
    """One map, or one multicast group."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"udp://{_address(self.host, self.port)}"


def video_targets(texts: Sequence[str]) -> tuple[VideoTarget, ...]:
    """All of `--restream`.

    Raises:
        UserError: one is no URL of the kind, or two send to one port.
    """
    return _all(texts, _video, "--restream", lambda target: target.address)


def cot_targets(texts: Sequence[str]) -> tuple[CotTarget, ...]:
    """All of `--cot`.

    Raises:
        UserError: one is no such URL, or it is there twice.
    """
    return _all(texts, _cot, "--cot", str)


def _all(
    texts: Sequence[str], parse: Callable[[str], _Target], option: str,
    place: Callable[[_Target], str],
) -> tuple[_Target, ...]:  # fmt: skip
    found: dict[str, _Target] = {}
    for text in texts:
        target = parse(text)
        if found.setdefault(place(target), target) is not target:
            raise UserError(
                f"{option} sends twice to {place(target)}; two streams in one port make neither"
            )
    return tuple(found.values())


def _video(text: str) -> VideoTarget:
    named = _DRONE.fullmatch(text)
    url = named["url"] if named else text
    example = (
        "mpegts://192.168.1.20:5600, rtp://192.168.1.20:5600 or 0-1=mpegts://192.168.1.20:5601"
    )
    kind, host, port = _parts("--restream", text, url, get_args(VideoKind), example)
    return VideoTarget(
        kind=cast(VideoKind, kind), host=host, port=port,
        drone_id=named["drone"] if named else None,
    )  # fmt: skip


def _cot(text: str) -> CotTarget:
    _, host, port = _parts("--cot", text, text, ("udp",), "udp://239.2.3.1:6969")
    return CotTarget(host=host, port=port)


def _parts(
    option: str, text: str, url: str, schemes: Sequence[str], example: str
) -> tuple[str, str, int]:
    bad = UserError(f"{option} {text!r} is not understood; try {example}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none, or half an IPv6 address
        raise bad from None
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in schemes or not host or not port or more:
        raise bad
    if not re.fullmatch(r"[\w.:%-]+", host):
        raise bad
    return parts.scheme, host, port


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
