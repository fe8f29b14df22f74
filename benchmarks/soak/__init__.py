"""Two servers under mixed load for as long as one likes: right answers, and nothing that grows. See `__main__.py`."""
