"""Where the camera is: told once, from a GPS receiver, or from an autopilot."""
