"""A Django application in one file: views with the identity of the request, sync and async.

Run it:   python examples/django_app.py               (sends itself a few requests and prints the responses)
Serve it: gunicorn examples.django_app:application    (needs gunicorn)
"""

import os
import secrets

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from wicket import Gate, Secret, profiles
from wicket.contrib.django import decision_of, identity_of, requires_identity
from wicket.testing import as_user, unguarded

gate = Gate(
    [
        profiles.generic(
            "acme",
            credentials=[Secret.from_hex(os.environ.get("ACME_SECRET") or secrets.token_hex(32))],
            origins=["https://acme.example"],
            scopes_claim="scope",
            allowed_scopes=["feedback:write"],
        )
    ]
)

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
    LOGGING_CONFIG=None,
    INSTALLED_APPS=["wicket.contrib.django.WicketConfig"],
    MIDDLEWARE=["wicket.contrib.django.WicketMiddleware", "django.middleware.common.CommonMiddleware"],
    WICKET_GATE=gate,
    WICKET_EXEMPT=["/health"],
    WICKET_OPTIONAL=["/greet"],
)
django.setup()


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"ok": True})


def me(request: HttpRequest) -> JsonResponse:
    identity = identity_of(request)  # raises Refused if the request has no verified identity
    return JsonResponse({"app": identity.app_id, "user": identity.user_id})


async def greet(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"hello": decision_of(request).identity.user_id or "anonymous"})


@csrf_exempt
@requires_identity("feedback:write")
def feedback(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"thanks": identity_of(request).user_id}, status=201)


urlpatterns = [path("health", health), path("me", me), path("greet", greet), path("feedback", feedback)]
application = WSGIHandler()


def main() -> None:
    stranger = Client()
    print("greet    ", stranger.get("/greet").json())
    print("me       ", stranger.get("/me").status_code, stranger.get("/me").json()["error"])
    user = as_user(Client(), "user-1", app="acme")
    print("me       ", user.get("/me").json())
    print("feedback ", user.post("/feedback").status_code, user.post("/feedback").json()["error"])
    writer = as_user(Client(), "user-1", app="acme", scope="feedback:write")
    print("feedback ", writer.post("/feedback").status_code, writer.post("/feedback").json())
    print("unguarded", unguarded(application, gate))


if __name__ == "__main__":
    main()
