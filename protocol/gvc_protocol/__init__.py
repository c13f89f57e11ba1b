"""Sans-IO core of the GVC link: wire format, erasure code, sender, receiver, codec contract."""
