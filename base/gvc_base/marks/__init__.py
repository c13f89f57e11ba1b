"""How far a tile can be trusted: what *wrong* means, how likely it is, which bytes stand behind it."""

from gvc_base.marks.truth import is_wrong

__all__ = ["is_wrong"]
