"""Which file opens which link. A new kind of link = its file and one row here.

The file is imported when such a link is opened, so nobody needs libraries of radios that he has not.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from gvc_profiles.links.base import ByteLink
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import AwayError, UserError

__all__ = ["SCHEMES", "Scheme", "open_link"]


class Opener(Protocol):
    """`open_...` of a link's file. Raises UserError for what the operator can mend, else OSError."""

    def __call__(self, url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink: ...


@dataclass(frozen=True, slots=True)
class Scheme:
    """One row: how its URLs look, `module:function` that opens them, framings of fitting profiles."""

    forms: str
    opener: str
    framings: tuple[str, ...]
    carriers: tuple[str, ...] = ("",)
    "Empty: a serial device. `tcp`, `udp`: what may stand behind a + in the scheme."


_ANY = ("*",)
# It is there, and waiting does not help: no right to it, or another program holds it.
_NOT_AWAY = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EAGAIN, errno.EADDRINUSE)
SCHEMES = {
    "serial": Scheme("serial:DEVICE", "gvc_profiles.links.uart:open_serial", ("raw",)),
    "freedv": Scheme("freedv:MODE", "gvc_profiles.links.freedv:open_freedv", ("freedv",)),
    "udp": Scheme("udp://HOST:PORT", "gvc_profiles.links.udp:open_udp", _ANY),
    "kiss": Scheme(
        "kiss:DEVICE?call=CALL or kiss+tcp://HOST:PORT?call=CALL",
        "gvc_profiles.links.kiss:open_kiss",
        ("kiss",),
        ("", "tcp"),
    ),
    "mavlink": Scheme(
        "mavlink:DEVICE or mavlink+udp://HOST:PORT",
        "gvc_profiles.links.mavlink:open_mavlink",
        ("mavlink_tunnel",),
        ("", "tcp", "udp"),
    ),
    "meshtastic": Scheme(
        "meshtastic:DEVICE or meshtastic+tcp://HOST:PORT",
        "gvc_profiles.links.meshtastic:open_meshtastic",
        ("meshtastic",),
        ("", "tcp"),
    ),
    "xbee": Scheme("xbee:DEVICE", "gvc_profiles.links.xbee:open_xbee", ("xbee_api",)),
    "rn2483": Scheme("rn2483:DEVICE", "gvc_profiles.links.rn2483:open_rn2483", ("rn2483",)),
    "sbd": Scheme("sbd:DEVICE", "gvc_profiles.links.sbd:open_sbd", ("sbd",)),
    "imt": Scheme("imt:DEVICE", "gvc_profiles.links.imt:open_imt", ("imt",)),
    "rns": Scheme(
        "rns:HASH or rns:listen", "gvc_profiles.links.reticulum:open_reticulum", ("rns",)
    ),
}


def open_link(url: str, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a link for one end.

    Args:
        url: one of the forms of `SCHEMES`, options behind `?`.
        listen: True at the base (UDP binds), False at the edge (UDP sends there).

    Raises:
        UserError: the URL is none of these, does not fit the profile, or cannot be opened now.
        AwayError: what it names is not there, and may come.
    """
    asked = LinkUrl(url)
    scheme = SCHEMES.get(asked.scheme) if ":" in url else None
    if scheme is None or asked.carrier not in scheme.carriers:
        forms = ", ".join(s.forms for s in SCHEMES.values())
        raise UserError(
            f"unknown link {url!r}; use one of {forms}" + ("" if listen else ", file:NAME.pcap")
        )
    if scheme.framings != _ANY and profile.framing not in scheme.framings:
        fits = ", ".join(s.forms for s in SCHEMES.values() if profile.framing in s.framings)
        raise UserError(
            f"profile {profile.id} cannot use {url}; use {fits or 'udp://HOST:PORT'}, "
            "or choose the profile of the radio on that link"
        )
    module, _, function = scheme.opener.partition(":")
    try:
        opener = cast(Opener, getattr(import_module(module), function))
        return opener(asked, profile, listen=listen)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "choose another port, or stop the program that holds it"
        away = isinstance(error, OSError) and error.errno not in _NOT_AWAY
        kind = AwayError if away else UserError
        raise kind(f"cannot open link {url}: {reason}; {hint}") from None
