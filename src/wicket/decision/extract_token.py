"""Extract the token of a request, and the user ID that an anonymous request claims. Both are unverified.

All configured locations are read. Two different tokens are refused. The body is read last, and only if no other
location has a token.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable

from wicket.config.app import App, BrokenApp
from wicket.config.locations import TokenLocation
from wicket.config.token_locations import TokenLocations
from wicket.decision.body import read_body
from wicket.decision.claims import bad_user_id
from wicket.decision.context import ExtractedToken, GateContext
from wicket.decision.io import Effect
from wicket.errors import Refusal, Refused, invalid_request
from wicket.messages.request import Request


def extract_token(
    gate: GateContext,
    locations: TokenLocations,
    request: Request,
    outside_body: ExtractedToken | None = None,
    publishable_keys: Container[str | None] = (),
) -> Generator[Effect, None, ExtractedToken]:
    """Extract the token from headers and the query, then from cookies, then from the body.

    Args:
        gate: The gate, for the limits of the body.
        locations: The token locations of the app or of the gate.
        request: The request.
        outside_body: The result of `token_outside_body`; None to read it here.
        publishable_keys: The publishable key of the app, or those of all apps. A location that holds one has no token.

    Returns:
        The token and its location; two None if the request has no token.

    Raises:
        Refused: `invalid_request` if two locations have different tokens.
    """
    result = token_outside_body(locations, request, publishable_keys) if outside_body is None else outside_body
    if result[0] is None and locations.body_types:
        yield from read_body(gate, request, locations.body_types)
        result = token_from(locations, locations.body, request, publishable_keys)
    return result


def token_outside_body(
    locations: TokenLocations, request: Request, publishable_keys: Container[str | None] = ()
) -> ExtractedToken:
    """Extract the token from headers and the query, then from cookies.

    Args:
        locations: The token locations of the app or of the gate.
        request: The request.
        publishable_keys: The publishable key of the app, or those of all apps. A location that holds one has no token.

    Returns:
        The token and its location; two None if there is no token outside the body.

    Raises:
        Refused: `invalid_request` if two locations have different tokens.
    """
    result = token_from(locations, locations.headers_and_query, request, publishable_keys)
    if result[0] is None and locations.cookies:
        result = token_from(locations, locations.cookies, request, publishable_keys)
    return result


def token_from(
    locations: TokenLocations,
    group: Iterable[TokenLocation],
    request: Request,
    publishable_keys: Container[str | None] = (),
) -> ExtractedToken:
    """Read the token from one group of the token locations.

    Args:
        locations: The token locations of the app or of the gate.
        group: The locations of one phase.
        request: The request.
        publishable_keys: The publishable key of the app, or those of all apps. A client that has no token of a user may
            send it in its place, so a location that holds one has no token.

    Returns:
        The token and its first location; two None if there is no token.

    Raises:
        Refused: `invalid_request` if two locations have different tokens.
    """
    first: str | None = None
    first_location: TokenLocation | None = None
    for location in group:
        value = location.read(request)
        if value is not None and value not in publishable_keys:
            if locations.takes_first:
                return value, location
            if first is not None and value != first:
                raise invalid_request("The request carries two different tokens.")
            first, first_location = value, location
    return first, first_location


def credentials_sent(locations: TokenLocations, request: Request, refusal: Refusal) -> bool:
    """Return whether a refused request carried credentials.

    Args:
        locations: The token locations of the app or of the gate.
        request: The refused request.
        refusal: The refusal.

    Returns:
        True if the response may name the error (RFC 6750 section 3.1); False if the request carried no credentials.
    """
    if refusal.reason is not None:
        return True
    if refusal.code == "missing_token":
        return False  # all locations were read, and none has a token
    if refusal.code == "invalid_request" and request.header("authorization") is not None:
        return True
    try:
        return any(
            token_from(locations, group, request)[0] is not None
            for group in (locations.headers_and_query, locations.cookies, locations.body)
        )
    except Refused:
        return True
    except Exception:  # noqa: BLE001 - the flow reports a custom location that raises when it extracts the token
        return False


def claimed_user_id(app: App | BrokenApp | None, request: Request) -> str | None:
    """Return the user ID that an anonymous request claims without proof. Never raises.

    Returns:
        The user ID; None if the request claims none, or if the claimed ID is not a valid user ID.
    """
    for location in app.claimed_user_locations if isinstance(app, App) else ():
        try:
            user_id = location.read(request)
        except Exception:  # noqa: BLE001 - an unverified value must not decide about a request
            return None
        if user_id is not None:
            return user_id if bad_user_id(user_id) is None else None
    return None
