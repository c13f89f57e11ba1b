"""How far a tile can be trusted: what *wrong* means, how likely it is, which bytes stand behind it."""

from gvc_base.marks.truth import disagreement, is_wrong

__all__ = ["disagreement", "is_wrong"]
