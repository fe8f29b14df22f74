"""Read single fields of a form body. A browser's form and `URLSearchParams` send this type.

A form is searched like a query (`wicket.messages.parameters`): a field that occurs twice is `invalid_request`, and only
the value of the searched field is decoded.
"""

from __future__ import annotations

from typing import Final

from wicket.messages.parameters import query_value

FORM_TYPE: Final = "application/x-www-form-urlencoded"


class FormData:
    """The body of a form.

    Args:
        text: The body. It is not decoded.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, name: str) -> str:
        """Return the decoded value of one field. Empty if the form has no such field.

        Args:
            name: The decoded name of the field.

        Raises:
            Refused: The field occurs twice, or the form is too large to search (`invalid_request`).
        """
        return query_value(self._text, name, "form")


def parse_form(raw: bytes | None) -> FormData | None:
    """Return the form that a body has. None if there is no body, or if it is not ASCII (URL standard, section 5.2)."""
    return FormData(raw.decode("ascii")) if raw is not None and raw.isascii() else None
