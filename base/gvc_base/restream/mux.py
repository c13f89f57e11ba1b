"""H.264 (and KLV) on its way to a player, through FFmpeg's own encoder and muxers.

    uint8[H, W, 3] BGR -> libx264, nothing held back -> MPEG transport stream, or RTP -> UDP

A key frame comes every ten frames with its parameter sets, so that whoever tunes in, or lost a packet,
sees a picture in less than a second.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from gvc_base.restream.targets import VideoTarget

__all__ = ["FPS", "STREAM_ERRORS", "VideoOut", "sdp_text", "write_sdp"]

FPS = 15
STREAM_ERRORS = (OSError, ValueError, av.FFmpegError)
_KEY_EVERY = 10
_TICKS = 90_000
_RTP_TYPE = 96
_BT709 = 1
_CODING = {
    "preset": "ultrafast", "tune": "zerolatency", "crf": "21", "g": str(_KEY_EVERY),
    # A burst larger than a player's socket holds is a torn picture.
    "x264-params": "repeat-headers=1:vbv-maxrate=8000:vbv-bufsize=2000", "threads": "1",
}  # fmt: skip
"Cheap before small: this goes over a cable or a tablet's Wi-Fi, not over the radio."


class VideoOut:
    """One stream of one size. Close it, and open another, where the size changes.

    Every call may raise STREAM_ERRORS (a host that cannot be resolved, a network that is not there): the
    stream is then of no more use.
    """

    def __init__(self, target: VideoTarget, *, width: int, height: int) -> None:
        """`width`, `height`: pixels, even."""
        self.target, self.size = target, (width, height)
        options = {"flush_packets": "1"}
        if target.kind == "mpegts":
            # Without a limit the muxer holds a picture back until the rare KLV has come as well.
            options["max_interleave_delta"] = "1"
            # With its length told, a player need not wait for the next picture to know where one ends.
            options["omit_video_pes_length"] = "0"
            url = f"udp://{target.address}?pkt_size=1316"
        else:
            options["payload_type"] = str(_RTP_TYPE)
            url = f"rtp://{target.address}?pkt_size=1200"
        self._container: Any = av.open(url, "w", format=target.kind, options=options)
        self._video: Any = self._container.add_stream("libx264", rate=FPS, options=_CODING)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, FPS)
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries = context.color_trc = _BT709
        self._klv: Any = self._container.add_data_stream("klv") if target.kind == "mpegts" else None

    def write(self, bgr: NDArray[np.uint8], number: int, klv: bytes = b"") -> None:
        """Send one frame.

        Args:
            bgr: uint8[H, W, 3] of the stream's size.
            number: of the frame, `FPS` a second; numbers may be left out.
            klv: metadata of that moment; goes into a transport stream only.
        """
        frame = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        if klv and self._klv is not None:
            packet = av.Packet(klv)
            packet.pts = packet.dts = number * _TICKS // FPS
            packet.time_base, packet.stream = Fraction(1, _TICKS), self._klv
            self._container.mux(packet)
        self._container.mux(self._video.encode(frame))

    def close(self) -> None:
        """Let go of the socket."""
        with suppress(*STREAM_ERRORS):
            self._container.close()


def sdp_text(target: VideoTarget) -> str:
    """The file that a player needs for RTP: RTP alone does not say what it carries."""
    family = "IP6" if ":" in target.host else "IP4"
    group = target.host
    with suppress(ValueError):
        if ipaddress.ip_address(target.host).is_multicast and family == "IP4":
            group += "/16"  # how far it may go, hops; a multicast line in SDP has to say so
    return "\r\n".join((
        "v=0", f"o=- 0 0 IN {family} {target.host}", "s=gvc-base, marks burned in, NOT FOR PILOTING",
        f"c=IN {family} {group}", "t=0 0", f"m=video {target.port} RTP/AVP {_RTP_TYPE}",
        f"a=rtpmap:{_RTP_TYPE} H264/{_TICKS}", f"a=fmtp:{_RTP_TYPE} packetization-mode=1",
        f"a=framerate:{FPS}", "",
    ))  # fmt: skip


def write_sdp(target: VideoTarget, path: Path) -> None:
    """Put it there. Raises OSError."""
    path.write_text(sdp_text(target), "ascii", newline="")
