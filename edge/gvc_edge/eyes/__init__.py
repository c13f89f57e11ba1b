"""What the edge sees on true pixels, cheaply: camera motion, moving objects, heat. No torch, no GPU."""

from __future__ import annotations

from gvc_edge.eyes.eyes import Eyes, Seen
from gvc_profiles.sight.detector import Detector, Found, load_detector

__all__ = ["Detector", "Eyes", "Found", "Seen", "load_detector"]
