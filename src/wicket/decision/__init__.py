"""The decision about a request: locate the app and the token, verify the token, and build the identity, without I/O."""
