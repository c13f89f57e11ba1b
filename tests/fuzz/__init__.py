"""Fuzzing of every parser that bytes from the air or from a file reach, below the CRC and above it."""
