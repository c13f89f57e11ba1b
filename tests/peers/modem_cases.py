"""The modems with the profile and the units that fly through them, for tests and for the bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gvc_profiles.codec2 import find_codec2
from gvc_profiles.load import load
from gvc_profiles.params import link_params
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.framing import Framing
from gvc_protocol.params import SECOND, LinkParams
from tests.peers.codec2_air import codec2_modem
from tests.peers.direwolf_air import direwolf, direwolf_missing
from tests.peers.flight import Flight, Modem, fly, make_units
from tests.peers.minimodem_air import minimodem, minimodem_missing

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One modem in one setting."""

    name: str
    params: Callable[[], LinkParams]
    modem: Callable[[float, int], Modem]
    """(SNR in dB, seed) -> modem"""
    units: int
    keyframe: int
    features: int
    snrs: tuple[int, ...]
    "Of the bench's sweep."
    missing: Callable[[], str]

    def made(self) -> list[EncodedUnit]:
        """The units that fly."""
        return make_units(self.units, keyframe=self.keyframe, features=self.features)

    def fly(self, snr_db: float, seed: int = 1) -> Flight:
        """All units at one SNR."""
        return fly(self.params(), self.made(), self.modem(snr_db, seed))


def _profile(name: str) -> Callable[[], LinkParams]:
    # A long queue: units here are as large as the test wants, not as the edge's rate control would.
    return lambda: replace(link_params(load(name), bps=None, fec="auto"), queue_ns=3600 * SECOND)


def _uart() -> LinkParams:
    """A bare UART over FSK: short RS frames, as a lost byte costs the frame that it is in."""
    framing = Framing(mtu_bytes=118, stream=True, inner_rs=True)
    return LinkParams(framing=framing, rate_bps=960, fec_percent=30, queue_ns=3600 * SECOND)


def _codec2_missing() -> str:
    return "" if find_codec2() else "libcodec2 is not installed (.ci/run installs it)"


def _hf(
    mode: str, *, fading: bool, units: int, snrs: tuple[int, ...], sizes: tuple[int, int]
) -> Case:
    return Case(
        name=f"{mode} {'fading' if fading else 'AWGN'}", params=_profile(f"freedv-{mode}"),
        modem=lambda snr, seed: codec2_modem(mode, snr, seed, fading=fading),
        units=units, keyframe=sizes[0], features=sizes[1], snrs=snrs, missing=_codec2_missing,
    )  # fmt: skip


CASES = (
    Case(name="AX.25 1200", params=_profile("kiss-ax25-1200"), units=6, keyframe=500, features=700,
         modem=lambda snr, seed: direwolf(snr, seed), snrs=(1, 0, -1, -2, -3),
         missing=direwolf_missing),
    Case(name="FX.25 1200", params=_profile("kiss-fx25-1200"), units=6, keyframe=500, features=700,
         modem=lambda snr, seed: direwolf(snr, seed, fx25=True), snrs=(0, -2, -3, -4, -5),
         missing=direwolf_missing),
    _hf("datac0", fading=False, units=3, snrs=(0, -1, -2, -3, -4), sizes=(30, 30)),
    _hf("datac0", fading=True, units=3, snrs=(10, 5, 2, 0, -2), sizes=(30, 30)),
    _hf("datac3", fading=False, units=3, snrs=(-1, -2, -3, -4, -5), sizes=(200, 400)),
    _hf("datac3", fading=True, units=3, snrs=(10, 5, 2, 0, -2), sizes=(200, 400)),
    _hf("datac1", fading=False, units=3, snrs=(3, 2, 1, 0, -1), sizes=(800, 1600)),
    _hf("datac1", fading=True, units=3, snrs=(12, 8, 5, 3, 1), sizes=(800, 1600)),
    Case(name="UART FSK 1200 8N1", params=_uart, units=6, keyframe=500, features=700,
         modem=minimodem, snrs=(2, 1, 0, -1, -2), missing=minimodem_missing),
)  # fmt: skip
