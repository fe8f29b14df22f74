"""Registries: sources of apps outside the code. Every function from an `AppRef` to an `App` is one (see `Gate`)."""
