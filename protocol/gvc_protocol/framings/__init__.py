"""How radios wrap a packet on their host port: one small sans-IO codec a file.

Readers take any bytes in any pieces, raise for none of them, keep a bounded buffer and find the next
frame after rubbish. What a reader gives back is a value; what it cannot use it counts or skips.
"""
