"""JSON schemas of what an MCAP of a mission holds: Foxglove's, and two of our own.

The Foxglove ones have the names and fields that its panels look for; `log_time` orders all of them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SCHEMAS"]

_TIME = {
    "type": "object", "title": "time",
    "properties": {"sec": {"type": "integer", "minimum": 0},
                   "nsec": {"type": "integer", "minimum": 0, "maximum": 999_999_999}},
}  # fmt: skip
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_WHOLE: dict[str, Any] = {"type": "integer"}


def _object(title: str, about: str, **properties: Any) -> dict[str, Any]:
    return {"title": title, "description": about, "type": "object", "properties": properties}


SCHEMAS: dict[str, dict[str, Any]] = {
    "foxglove.CompressedVideo": _object(
        "foxglove.CompressedVideo", "One frame of H.264, Annex B, its marks burned in",
        timestamp=_TIME, frame_id=_TEXT, data={"type": "string", "contentEncoding": "base64"},
        format=_TEXT,
    ),
    "foxglove.LocationFix": _object(
        "foxglove.LocationFix", "Where the camera was; altitude above the WGS 84 ellipsoid",
        timestamp=_TIME, frame_id=_TEXT, latitude=_NUMBER, longitude=_NUMBER, altitude=_NUMBER,
        position_covariance={"type": "array", "items": _NUMBER, "minItems": 9, "maxItems": 9},
        position_covariance_type=_WHOLE,
    ),
    "foxglove.GeoJSON": _object(
        "foxglove.GeoJSON", "Ground in the picture, and what of it is regenerated or lost",
        geojson=_TEXT,
    ),
    "foxglove.Log": _object(
        "foxglove.Log", "What happened", timestamp=_TIME, level=_WHOLE, message=_TEXT, name=_TEXT,
        file=_TEXT, line=_WHOLE,
    ),
    "gvc.MarkShares": _object(
        "gvc.MarkShares", "Share of a frame's tiles by mark, 0..1: what of the picture is real",
        frame=_WHOLE, unit=_WHOLE, received=_NUMBER, carried=_NUMBER, enhanced=_NUMBER,
        regenerated=_NUMBER, lost=_NUMBER, p_wrong_mean=_NUMBER,
    ),
    "gvc.LinkSample": _object(
        "gvc.LinkSample", "A second of the link; fields as the columns of the CSV export",
        session=_WHOLE, link_url=_TEXT, stream=_WHOLE, boot=_WHOLE, bit_per_s=_NUMBER,
        datagrams_lost_before_repair_share=_NUMBER, units_not_whole_last_minute_share=_NUMBER,
        loss_burst_mean_datagrams=_NUMBER, rssi_dbm=_WHOLE, noise_dbm=_WHOLE,
        airtime_left_s=_NUMBER, ladder_step=_WHOLE, edge_rate_bit_per_s=_WHOLE,
        edge_fec_percent=_WHOLE, since_whole_unit_s=_NUMBER, datagrams=_WHOLE,
    ),
}  # fmt: skip
