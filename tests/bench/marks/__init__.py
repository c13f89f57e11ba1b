"""`make bench-marks` and `make train-marks`: how far the marks can be trusted, and their calibration."""
