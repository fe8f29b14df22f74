"""Measurements, as ratios within one run: machines differ, and so does one machine from minute to minute."""
