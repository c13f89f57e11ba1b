"""The live base: links in, archive, decoders, and the picture of this moment."""
