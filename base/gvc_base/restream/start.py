"""Starts what the operator asked for beside a running base, and ends it with the base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gvc_base.console.view import StationView
from gvc_base.restream.targets import CotTarget, VideoTarget, cot_targets, video_targets

__all__ = ["RestreamPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestreamPlan:
    """Targets that are understood; nothing is open yet."""

    video: tuple[VideoTarget, ...] = ()
    cot: tuple[CotTarget, ...] = ()

    @classmethod
    def of(cls, restream: Sequence[str], cot: Sequence[str]) -> RestreamPlan:
        """From the command line. Raises UserError for a target that is none."""
        return cls(video=video_targets(restream), cot=cot_targets(cot))

    def start(
        self, stack: ExitStack, view: StationView, archive: Path, say: Callable[[str], None]
    ) -> None:
        """Send until the stack closes. SDP files lie beside the archive."""
        if not self.video and not self.cot:
            return
        from gvc_base.restream.cot import CotSender, base_uid
        from gvc_base.restream.video import VideoRestream

        for place in self.cot:
            told = CotSender(view, place, say, uid=base_uid(archive))
            stack.callback(told.close)
            told.start()
        for target in self.video:
            name = f"{archive.stem}-{target.host}-{target.port}.sdp".replace(":", "_")
            sdp, mission = archive.with_name(name), archive.stem
            sent = VideoRestream(view, target, say, sdp=sdp, mission=mission)
            stack.callback(sent.close)
            sent.start()
