"""What both ends must see alike: detectors, the plain picture of a unit, when two pictures agree."""
