"""Integrations with single frameworks, one module each. No module imports another one."""
