"""The web console of a base station, live and on recorded time."""
