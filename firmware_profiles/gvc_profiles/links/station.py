"""The operator's call sign, without which nothing is sent on an amateur band."""

from __future__ import annotations

import re

from gvc_profiles.links.url import LinkUrl
from gvc_protocol.errors import UserError
from gvc_protocol.framings.ax25 import Callsign

__all__ = ["own_call"]

# ITU Radio Regulations, article 19: a prefix of one or two characters, a digit, a suffix that ends
# in a letter.
_FORM = re.compile(r"(?:[A-Z]{1,2}|[A-Z][0-9]|[0-9][A-Z])[0-9][A-Z0-9]{0,3}[A-Z]")
_NOBODY = ("N0CALL", "N0NE")


def own_call(url: LinkUrl, text: str) -> Callsign:
    """The call sign that the link's option `call` names.

    Raises:
        UserError: it is missing, a placeholder, or no call sign.
    """
    how = f"give yours with {url.text.partition('?')[0]}?call=YOURCALL or YOURCALL-1"
    if not text.strip():
        raise UserError(
            f"link {url.text!r} names no call sign, which the law wants on the air; {how}"
        )
    call = Callsign.parse(text)
    if call.call in _NOBODY or not _FORM.fullmatch(call.call):
        raise UserError(f"{text!r} is no station's call sign; {how}")
    return call
