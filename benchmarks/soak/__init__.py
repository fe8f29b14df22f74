"""Two servers under mixed load: checks every response, and that no resource grows. See `__main__.py`."""
