"""Links by URL, for both ends: `serial:/dev/ttyUSB0`, `udp://HOST:PORT`, ... (`registry.SCHEMES`)."""

from gvc_profiles.links.base import ByteLink, LinkState, Received, can_send, state_of
from gvc_profiles.links.registry import SCHEMES, open_link
from gvc_profiles.links.uart import SerialLink
from gvc_profiles.links.udp import UdpLink

__all__ = [
    "SCHEMES", "ByteLink", "LinkState", "Received", "SerialLink", "UdpLink", "can_send", "open_link",
    "state_of",
]  # fmt: skip
