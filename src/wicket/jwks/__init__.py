"""Remote key sets: fetched with protection against SSRF, imported key by key, and loaded for the cache."""
