"""Archives as missions: what is there, two of them made one, and what was made from them."""
