"""The decision's view of HTTP: the request, its body, and a response. It is the same for ASGI and WSGI."""
