"""A shown picture as the console sends it: one of four layers, and under it what that layer is.

    marks      the picture, patterns over what was not received (the default)
    heat       the picture in grey, under it how likely each tile is wrong
    received   what arrived and nothing else, with its marks: received pixels, elsewhere the coded
               picture in blocks, grey where there is none
    plain      the picture alone; the strip and the console say that the marks are off

The strip stands under the picture, not on it: no pixel is hidden, and none leaves without the strip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.console.plain import ms, plain
from gvc_base.console.view import Shown
from gvc_base.legend import WARNING, legend_height_px
from gvc_base.patterns import BLACK, WHITE, YELLOW
from gvc_base.received import received_only
from gvc_base.render import mark_share, overlay_beneath
from gvc_base.text import MIN_CAP_PX, draw_text, fit_text, text_width_px
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import TILE_PX, Mark, tile_grid
from gvc_protocol.truth import Truth

__all__ = ["LAYERS", "Layer", "Painted", "encode_png", "layer_of", "paint_layer"]

Image = NDArray[np.uint8]
Layer = Literal["marks", "heat", "received", "plain"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

_JPEG_QUALITY = 88
_HEAT_OPACITY = (0.25, 0.75)
"How much of the heat covers a tile that is surely right, and one that is surely wrong."

_STRIP_SHARE = 0.075


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """A layer of one shown picture, coded."""

    header: dict[str, Any]
    "What the browser needs to know of it, plain JSON."
    data: bytes
    "JPEG."


def layer_of(name: object) -> Layer | None:
    """The layer of that name; None where there is none."""
    return next((layer for layer in LAYERS if layer == name), None)


def paint_layer(shown: Shown, layer: Layer, *, half: bool, label: str) -> Painted:
    """Draw and code a layer.

    Args:
        half: at half size, for a small tile on the screen; a tile of it takes the least trustworthy
            mark of the four that it stands for.
        label: what the sender is, authenticated or not; stands in the strip.
    """
    whole = received_only(shown.frame) if layer == "received" else shown.frame
    frame = _half(whole) if half else whole
    image = _draw(frame, layer, label)
    done, data = cv2.imencode(
        ".jpg", image,
        (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY,
         # Colour at full resolution: the marks are thin coloured lines.
         cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    )  # fmt: skip
    assert done
    height, width = shown.frame.pixels.shape[:2]
    shares = mark_share(whole)
    header = {
        "serial": shown.serial, "layer": layer, "half": half, "boot": shown.boot_id,
        "width": width, "height": height, "unit": shown.frame.unit_no,
        "frame": shown.frame.frame_no, "shown_ms": ms(shown.shown_ns),
        # The picture's share of the image; below it is the strip.
        "share": frame.pixels.shape[0] / image.shape[0],
        "boxes": plain(shown.boxes),
        "marks": {mark.name.lower(): shares[mark] for mark in Mark},
    }  # fmt: skip
    return Painted(header=header, data=data.tobytes())


def encode_png(shown: Shown, layer: Layer, label: str) -> bytes:
    """The layer without loss, strip and all: what is saved says what it is."""
    frame = received_only(shown.frame) if layer == "received" else shown.frame
    done, data = cv2.imencode(".png", _draw(frame, layer, label))
    assert done
    return data.tobytes()


def _draw(frame: DecodedFrame, layer: Layer, label: str) -> Image:
    if layer == "marks":
        return overlay_beneath(frame, status=label)
    if layer == "heat":
        return _with_strip(_heat(frame), f"chance that a tile is wrong, {label}", ramp=True)
    if layer == "received":
        return overlay_beneath(frame, title="RECEIVED ONLY", status=label)
    text = f"MARKS OFF - parts of this picture may be invented, {label}"
    return _with_strip(frame.pixels, text, ramp=False)


def _half(frame: DecodedFrame) -> DecodedFrame:
    height, width = (side // 2 for side in frame.pixels.shape[:2])
    if min(height, width) < TILE_PX:
        return frame
    pixels = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = tile_grid(height, width)

    def worst(grid: NDArray[Any]) -> NDArray[Any]:
        pad = ((0, 2 * rows - grid.shape[0]), (0, 2 * columns - grid.shape[1]))
        padded = np.pad(grid, [(0, max(0, more)) for _, more in pad], mode="edge")
        cut = padded[: 2 * rows, : 2 * columns]
        return np.asarray(cut.reshape(rows, 2, columns, 2).max(axis=(1, 3)))

    truth = None
    if frame.truth is not None:
        # Verified only where all four are, known wrong where one is.
        truth = np.where(worst(frame.truth != Truth.VERIFIED), Truth.UNTOLD, Truth.VERIFIED)
        truth = np.where(worst(frame.truth == Truth.KNOWN_WRONG), Truth.KNOWN_WRONG, truth)
        truth = truth.astype(np.uint8)
    alarms = tuple(
        replace(a, x=a.x // 2, y=a.y // 2, width=max(1, a.width // 2), height=max(1, a.height // 2))
        for a in frame.alarms
    )
    return DecodedFrame(
        frame_no=frame.frame_no, unit_no=frame.unit_no, pixels=np.asarray(pixels, np.uint8),
        mark=worst(frame.mark), age_ms=worst(frame.age_ms), p_wrong=worst(frame.p_wrong),
        doubt_from=frame.doubt_from, truth=truth, alarms=alarms,
    )  # fmt: skip


def _to_pixels(grid: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    rows, columns = grid.shape
    size = (columns * TILE_PX, rows * TILE_PX)
    grown = cv2.resize(grid, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(grown[:height, :width])


def _heat(frame: DecodedFrame) -> Image:
    height, width = frame.pixels.shape[:2]
    wrong = np.nan_to_num(frame.p_wrong.astype(np.float32), nan=1.0).clip(0, 1)
    levels = _to_pixels(np.rint(wrong * 255).astype(np.uint8), height, width)
    colours, cover = _ramp()
    grey = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY)
    out = cv2.multiply(
        cv2.merge([grey] * 3), cv2.merge([cv2.LUT(levels, 255 - cover)] * 3), scale=1 / 255
    )
    ink = cv2.LUT(cv2.merge([levels] * 3), colours)
    return np.asarray(cv2.add(out, ink), np.uint8)


@lru_cache(maxsize=1)
def _ramp() -> tuple[Image, Image]:
    """(ink, cover) of the 256 levels: uint8[1, 256, 3] and uint8[256]. Cividis, dark to light, reads the
    same to all eyes."""
    level = np.arange(256, dtype=np.uint8)
    cover = np.linspace(*_HEAT_OPACITY, 256)
    colour = cv2.applyColorMap(level.reshape(1, 256), cv2.COLORMAP_CIVIDIS)
    ink = np.floor(colour * cover[None, :, None]).astype(np.uint8)
    return ink, np.ceil(cover * 255).astype(np.uint8)


def _with_strip(picture: Image, text: str, *, ramp: bool) -> Image:
    """The picture with a strip of one line under it: the warning first, then `text`."""
    height, width = picture.shape[:2]
    tall = max(2 * MIN_CAP_PX, round(height * _STRIP_SHARE), legend_height_px(height, width) // 2)
    cap = max(MIN_CAP_PX, min(tall * 45 // 100, width // 45))
    out = np.zeros((height + tall, width, 3), np.uint8)
    out[:height] = picture
    foot = height + (tall + cap) // 2
    wide = text_width_px(WARNING, cap)
    cv2.rectangle(out, (0, height), (wide + cap, height + tall), YELLOW, -1)
    draw_text(out, WARNING, cap // 2, foot, cap, BLACK)
    x = wide + 2 * cap
    if ramp:
        x = _draw_ramp(out, x, foot, cap)
    shorter, smaller = fit_text(text, cap, max(0, width - x - cap // 2))
    draw_text(out, shorter, x, foot, smaller, WHITE)
    return out


def _draw_ramp(out: Image, x: int, foot: int, cap: int) -> int:
    """The scale of the heat layer; returns where it ends."""
    draw_text(out, "0", x, foot, cap)
    x += text_width_px("0", cap) + cap // 2
    wide = max(24, 6 * cap)
    level = np.linspace(0, 255, wide).astype(np.uint8).reshape(1, wide)
    bar = cv2.applyColorMap(level, cv2.COLORMAP_CIVIDIS)
    room = out[foot - cap : foot, x : x + wide]
    room[:] = bar[:, : room.shape[1]]
    x += wide + cap // 2
    draw_text(out, "1", x, foot, cap)
    return x + text_width_px("1", cap) + cap
