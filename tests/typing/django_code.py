"""Code as a user of Django and its REST framework would write it, under mypy strict and pyright. It is never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_type

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.views import View
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from wicket import Decision, Gate, VerifiedIdentity
from wicket.contrib import rest_framework
from wicket.contrib.django import WicketMiddleware, configured_gate, decision_of, identity_of, requires_identity
from wicket.contrib.rest_framework import User, WicketAuthentication
from wicket.testing import as_user

gate = Gate(name="partners")


class PartnersMiddleware(WicketMiddleware):
    gate = gate
    options = {"only": ["/partners/*"]}


def me(request: HttpRequest) -> JsonResponse:
    assert_type(decision_of(request), Decision)
    assert_type(identity_of(request, gate, scopes=["read"]), VerifiedIdentity)
    return JsonResponse({"user": identity_of(request).user_id})


@requires_identity("feedback:write")
async def feedback(request: HttpRequest) -> HttpResponse:
    return HttpResponse(identity_of(request).user_id)


decorated: Callable[[HttpRequest], Awaitable[HttpResponse]] = feedback


class Feedback(View):
    @requires_identity()
    def post(self, request: HttpRequest, item: int) -> HttpResponse:
        return HttpResponse(str(item))


class Things(APIView):
    authentication_classes = [WicketAuthentication]
    permission_classes = [rest_framework.requires_identity("read")]

    def get(self, request: Request) -> Response:
        assert_type(rest_framework.identity_of(request), VerifiedIdentity)
        assert isinstance(request.user, User)
        return Response(request.user.identity.user_id)


assert_type(rest_framework.requires_identity("read"), type[BasePermission])
assert_type(configured_gate(), Gate)
assert_type(as_user(Client(), "user-1", app="acme"), Client)
assert_type(as_user(AsyncClient(), "user-1", app="acme"), AsyncClient)
assert_type(as_user(APIClient(), "user-1", app="acme"), APIClient)
