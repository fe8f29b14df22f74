"""What the ASGI and WSGI middleware share: path rules, bodies, CORS, refusals, long-lived connections."""
