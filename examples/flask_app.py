"""A Flask application with a gated blueprint and public pages.

Run it:   python examples/flask_app.py               (sends itself a few requests and prints the responses)
Serve it: flask --app examples/flask_app.py run
"""

import os
import secrets

from flask import Blueprint, Flask

from wicket import Gate, Secret, profiles
from wicket.contrib.flask import Wicket, current_identity, requires_identity
from wicket.testing import as_user

gate = Gate(
    [
        profiles.hissuno(
            "initech",
            credentials=[Secret.from_text(os.environ.get("INITECH_SECRET") or f"sk_live_{secrets.token_hex(16)}")],
            origins=["https://initech.example"],
            scopes_claim="scope",
            allowed_scopes=["threads:read"],
        ),
    ]
)

app = Flask(__name__)
api = Blueprint("api", __name__, url_prefix="/api")


@app.get("/")
def index() -> str:
    return "This page is public."


@api.get("/me")
def me() -> dict[str, object]:
    return {"user": current_identity.user_id, "metadata": current_identity.attributes}


@api.get("/threads")
@requires_identity("threads:read")
def threads() -> dict[str, object]:
    return {"threads": [], "user": current_identity.user_id}


Wicket(gate).init_app(api)  # Wicket(gate).init_app(app) would gate the whole application
app.register_blueprint(api)


def main() -> None:
    print("index  ", app.test_client().get("/").text)
    refused = app.test_client().get("/api/me?projectId=initech")
    print("me     ", refused.status_code, refused.get_json()["error"], "|", refused.headers["WWW-Authenticate"])

    user = as_user(app.test_client(), "user-2", app="initech", gate=gate, attributes={"name": "Ada"})
    print("me     ", user.get("/api/me").get_json())
    print("threads", user.get("/api/threads").status_code, user.get("/api/threads").get_json()["error"])

    reader = as_user(app.test_client(), "user-2", app="initech", gate=gate, scope="threads:read")
    print("threads", reader.get("/api/threads").get_json())


if __name__ == "__main__":
    main()
