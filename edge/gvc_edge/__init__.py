"""Edge encoder: camera or file in, paced FEC-protected datagrams out. Never imports torch."""
