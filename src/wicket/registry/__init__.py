"""Where apps come from that are not written in code. A registry of the user's own is any function: see `Gate`."""
