"""The transport of one fetch: what it passes on from httpx to httpcore and back, with a real HTTPS server."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.jwks.support import answering, url_of
from wicket.config.network import Network
from wicket.jwks.network_backend import GuardedBackend
from wicket.jwks.ssrf import ForbiddenAddressError
from wicket.jwks.transport import GuardedTransport
from wicket.testing.issuer import LocalIssuer


def transport_of(issuer: LocalIssuer, network: Network | None = None) -> GuardedTransport:
    assert issuer.network.ssl_context is not None
    backend = GuardedBackend(network or issuer.network, connect_seconds=30, total_seconds=30)
    return GuardedTransport(issuer.network.ssl_context, backend)


def request_of(issuer: LocalIssuer, target: bytes = b"/") -> httpx.Request:
    return httpx.Request("GET", url_of(issuer).redacted, extensions={"target": target})


def test_transport_body_is_raw_and_response_has_no_set_cookie(issuer: LocalIssuer) -> None:
    issuer.fault = answering(b"not gzip", Set_Cookie="a=b", Content_Encoding="gzip", X_Other="c")
    with transport_of(issuer) as transport:
        response = transport.handle_request(request_of(issuer, b"/a;b?c=%2F"))
        assert b"".join(response.iter_raw()) == b"not gzip"
        response.close()
    assert issuer.requests == ["/a;b?c=%2F"]
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert response.headers["x-other"] == "c"


def test_transport_forbidden_address_raises_error_of_backend(issuer: LocalIssuer) -> None:
    only_public = Network(extra_ports=[issuer.port], resolver=issuer.network.resolver)
    with transport_of(issuer, only_public) as transport, pytest.raises(ForbiddenAddressError):
        transport.handle_request(request_of(issuer))
    assert issuer.requests == []
