"""The live base: links in, archive, decoders, and the picture of this moment."""

__all__ = ["DEFAULT_FOV_DEG"]

DEFAULT_FOV_DEG = 70.0
"Across the picture's width; small camera drones have 65 to 85."
