"""Remote key sets: fetched under guard, imported key by key, refreshed by the one cache."""
