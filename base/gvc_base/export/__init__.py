"""Exports of a recorded mission for other programs: see docs/interop.md."""
