"""Apps from your own database table, here SQLite: loaded by name when a request needs one, cached, and refreshed.

Run it:  python examples/own_database.py
"""

import logging
import secrets
import sqlite3
import tempfile
from pathlib import Path

from wicket import App, AppRef, Gate, Header, Limits, PublishableKeyBearer, Request, Secret, mint, profiles

SCHEMA = "CREATE TABLE apps (id TEXT PRIMARY KEY, public_key TEXT UNIQUE, secret TEXT, origins TEXT)"
COLUMNS = {"id": "id", "publishable_key": "public_key"}  # the column for each kind of name


class Apps:
    """The registry: a blocking function of a name. The gate calls it on its own threads, never in an event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.look_ups = 0

    def __call__(self, ref: AppRef) -> App | None:
        column = COLUMNS.get(ref.kind)
        if column is None:
            return None
        self.look_ups += 1
        database = sqlite3.connect(self.path)  # one connection for each look-up: threads do not share it
        try:
            row = database.execute(
                f"SELECT id, public_key, secret, origins FROM apps WHERE {column} = ?", (ref.value,)
            ).fetchone()
        finally:
            database.close()
        if row is None:
            return None
        id, public_key, secret, origins = row
        # A wrong value raises ConfigError: this app's requests are then config_invalid, and the other apps work.
        return profiles.generic(
            id, publishable_key=public_key, credentials=[Secret.from_hex(secret)], origins=origins.split()
        )


def fill(path: Path, count: int) -> None:
    rows = [(f"app-{n}", f"pub_{n}", secrets.token_hex(32), f"https://{n}.example") for n in range(count)]
    rows.append(("broken", "pub_broken", "not hexadecimal", "https://broken.example"))
    database = sqlite3.connect(path)
    with database:
        database.execute(SCHEMA)
        database.executemany("INSERT INTO apps VALUES (?, ?, ?, ?)", rows)
    database.close()


def main() -> None:
    logging.getLogger("wicket").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "apps.sqlite"
        fill(path, 3000)
        apps = Apps(path)
        limits = Limits(app_lifetime=300)
        with Gate(registry=apps, app_locations=[Header("X-App-Id"), PublishableKeyBearer()], limits=limits) as gate:
            acme = apps(AppRef("id", "app-2718"))
            assert acme is not None
            token = mint(acme, "user-1")
            apps.look_ups = 0
            for name in ("app-2718", "app-2718", "app-1", "broken", "missing"):
                request = Request(headers=[("X-App-Id", name), ("Authorization", f"Bearer {token}")])
                decision = gate.decide(request)
                outcome = decision.refusal.code if decision.refusal else decision.identity.identity
                print(f"{name:9} -> {outcome:20} ({apps.look_ups} look-ups so far)")


if __name__ == "__main__":
    main()
