"""What both ends must see alike: detectors, the plain picture behind a unit, and when two pictures agree."""
