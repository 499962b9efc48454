"""The figures this platform must reach, measured as ratios on the machine at hand. Start at `__main__.py`."""
