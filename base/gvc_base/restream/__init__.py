"""What a base gives on while a mission runs: marked video for players, Cursor on Target for maps."""
