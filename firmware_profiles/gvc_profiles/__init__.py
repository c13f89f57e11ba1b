"""Link profiles: one complete TOML file a radio, and their loader."""
