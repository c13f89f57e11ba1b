"""Talks to a radio in its own command language and compares its settings with the profile."""

from gvc_profiles.check.run import CheckReport, Finding, check_radio

__all__ = ["CheckReport", "Finding", "check_radio"]
