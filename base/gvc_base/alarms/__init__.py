"""What is shown against what was received: alarms and the sender's claims, for every decoder."""

from __future__ import annotations

from gvc_base.alarms.watch import HasEvidence, WatchedDecoder, watch

__all__ = ["HasEvidence", "WatchedDecoder", "watch"]
