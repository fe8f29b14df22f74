"""The decision about one request: reading the token, the claims, the identity, and the flow that joins them."""
