"""Link profiles: one complete TOML file a radio, and their loader."""

from gvc_profiles.load import load, names, parse
from gvc_profiles.model import LinkProfile

__all__ = ["LinkProfile", "load", "names", "parse"]
