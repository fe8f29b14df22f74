"""A watch over the whole suite: nothing that Wicket says, in any test, may carry a token or a secret.

It listens to every record of the logger `wicket` (message, arguments, further fields, traceback), to every event, to
the text of every `Refused` and `ConfigError` and of what led to it, and to every `repr` of an object of Wicket's.
Secrets are known from the moment at which a test hands one in, in every usual spelling; tokens by their look.
"""

from __future__ import annotations

import base64
import functools
import importlib
import inspect
import logging
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

import wicket
from wicket.errors import ConfigError, Refused
from wicket.events import Reporter
from wicket.keys import Secret

_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_WINDOW: Final = 16
"""How many characters in a row give a secret away; shorter ones are not looked for, they may stand in any text."""
_LOGGER: Final = logging.getLogger("wicket")
_PUBLIC: Final = (b"-----BEGIN", b'{"', b'[{"', b"\xef\xbb\xbf-----BEGIN")
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class LeakWatch:
    """What has been found; see the module."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._known: set[str] = set()
        self._clean: set[str] = set()

    def know(self, value: object) -> None:
        """Look for this secret from now on: the beginnings of its spellings that are long enough."""
        if not isinstance(value, bytes) or len(set(value)) < 3 or value.strip().startswith(_PUBLIC):
            return  # one byte repeated is in every long text, and the armour of a public key in every hint
        coded = base64.b64encode(value).decode()
        spellings = {value.hex(), value.hex().upper(), coded, coded.replace("+", "-").replace("/", "_")}
        spellings |= {value.decode("latin-1"), repr(value)[2:-1], value.decode("utf-8", "replace")}
        bare = {_plain(each.rstrip("=")) for each in spellings}
        added = {each[:_WINDOW] for each in bare if len(each) >= _WINDOW}
        if not added <= self._known:
            self._known |= added
            self._clean.clear()

    def scan(self, where: str, text: str) -> None:
        """Look through one text that Wicket said."""
        if text in self._clean:
            return
        if _TOKEN.search(text):
            self.found.append(f"{where} carries a token")
        elif self._holds_a_secret(_plain(text)):
            self.found.append(f"{where} carries a secret")
        elif len(self._clean) < 10_000:
            self._clean.add(text)

    def _holds_a_secret(self, text: str) -> bool:
        known = self._known
        return any(text[index : index + _WINDOW] in known for index in range(len(text) - _WINDOW + 1))

    def taken(self) -> list[str]:
        """What was found since the last time; it is no longer held against the test."""
        found, self.found = self.found, []
        return found


def _plain(text: str) -> str:
    """A text of which a `repr` has been made twice, as if it had been made once."""
    while "\\\\" in text:
        text = text.replace("\\\\", "\\")
    return text


WATCH: Final = LeakWatch()


class LogListener(logging.Filter):
    """Scans each record of the logger to which it is added, whatever its level, and stops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Look through the record, and let it go on if the logger's own level says so."""
        said = [record.getMessage(), repr(record.args)]
        said += [f"{name}={value!r}" for name, value in record.__dict__.items() if name not in _STANDARD]
        if record.exc_info and record.exc_info[1] is not None:
            said += all_of(record.exc_info[1])
        WATCH.scan(f"a log record ({record.msg!r})", "\n".join((*said, record.exc_text or "")))
        return record.levelno >= max(_LOGGER.getEffectiveLevel(), _LOGGER.manager.disable + 1)


def all_of(error: BaseException | None) -> Iterator[str]:
    """All texts of an exception and of those that led to it, hidden ones too, and its traceback."""
    if error is not None:
        yield "".join(traceback.format_exception(error))
    while error is not None:
        yield f"{error} {error!r}"
        error = error.__cause__ or error.__context__


def _wrap_errors() -> None:
    for cls in (ConfigError, Refused):
        _after(cls, "__init__", _scan_error)
    _after(Reporter, "emit", None, before=lambda _, event: WATCH.scan("an event", repr(event)))
    _after(Reporter, "decided", None, before=_scan_decision)
    _after(Secret, "_set", None, before=lambda _, value, *rest: WATCH.know(value))


def _scan_error(error: Any, *_: object) -> None:
    what = f"{error} {error!r} {error.args!r}"
    if isinstance(error, Refused):
        what += f" {error.refusal!r}"
    WATCH.scan(f"a {type(error).__name__}", what)
    for text in all_of(sys.exception()):  # what it will be said to have come from
        WATCH.scan(f"what led to a {type(error).__name__}", text)


def _scan_decision(_: object, decision: Any) -> None:
    WATCH.scan("a decision", f"{decision!r} {decision.identity!r} {decision.refusal!r}")


def _wrap_reprs() -> None:
    """Every `repr` of a class of Wicket's own, whoever asks for it."""
    for module in pkgutil.walk_packages(wicket.__path__, "wicket."):
        if module.name.endswith("__main__"):
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(cls) and cls.__module__ == module.name and "__repr__" in vars(cls):
                _wrap_repr(cls)


def _wrap_repr(cls: type) -> None:
    said: Callable[[Any], str] = vars(cls)["__repr__"]

    @functools.wraps(said)
    def watched(self: Any) -> str:
        text = said(self)
        WATCH.scan(f"the repr of a {cls.__name__}", text)
        return text

    cls.__repr__ = watched  # type: ignore[assignment, method-assign]  # on purpose


def _after(
    cls: type, name: str, then: Callable[..., None] | None, *, before: Callable[..., None] | None = None
) -> None:
    done = vars(cls)[name]

    @functools.wraps(done)
    def watched(self: Any, *args: Any, **options: Any) -> Any:
        if before is not None:
            before(self, *args)
        result = done(self, *args, **options)
        if then is not None:
            then(self, *args)
        return result

    setattr(cls, name, watched)


_is_enabled_for: Final = _LOGGER.isEnabledFor


def _is_heard(level: int) -> bool:
    """Whether a record is made: always, so that the filter hears of it, unless a test has set the logger's level."""
    return _LOGGER.level == logging.NOTSET or _is_enabled_for(level)


def install() -> None:
    """Begin to watch."""
    _wrap_errors()
    _wrap_reprs()
    _LOGGER.addFilter(LogListener())
    _LOGGER.isEnabledFor = _is_heard  # type: ignore[method-assign]  # on purpose


@pytest.fixture(autouse=True)
def leak_watch() -> Iterator[LeakWatch]:
    """Fails the test during which something was said that must not be."""
    WATCH.taken()
    yield WATCH
    found = WATCH.taken()
    assert not found, f"what Wicket said during this test leaks: {sorted(set(found))}"
