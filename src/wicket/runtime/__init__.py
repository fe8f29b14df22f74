"""Runtime services without knowledge of HTTP or tokens: the cache, the thread pool, base64url, error logs."""
