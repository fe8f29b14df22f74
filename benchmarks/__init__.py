"""Benchmarks. Figures are ratios within one run, because the speed of a machine changes from minute to minute."""
