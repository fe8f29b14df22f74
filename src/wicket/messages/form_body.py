"""Read single fields of a form body. A browser's form and `URLSearchParams` send this type.

A form is searched like a query (`wicket.messages.parameters`): a field that occurs twice is `invalid_request`, and only
the value of the searched field is decoded.
"""

from __future__ import annotations

from typing import Final

from wicket.messages.parameters import form_value

FORM_TYPE: Final = "application/x-www-form-urlencoded"


class FormData:
    """The body of a form.

    Args:
        text: The body. It is not decoded.
    """

    __slots__ = ("_text", "_values")

    def __init__(self, text: str) -> None:
        self._text = text
        self._values: dict[str, str] = {}

    def value(self, name: str) -> str:
        """Return the decoded value of one field. Empty if the form has no such field. Each field is decoded once.

        Args:
            name: The decoded name of the field. It is from the configuration.

        Raises:
            Refused: The field occurs twice (`invalid_request`).
        """
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = form_value(self._text, name)
        return value


def parse_form(raw: bytes | None) -> FormData | None:
    """Return the form that a body has (URL standard, section 5.1). None if there is no body, or if it is not UTF-8."""
    try:
        return None if raw is None else FormData(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return None
