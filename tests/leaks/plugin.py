"""A watch over the whole suite: nothing that Wicket says, in any test, may carry a token or a secret.

It listens to every record of the logger `wicket` (message, arguments, further fields, traceback), to every event, to
every `repr` of an object of Wicket's, to every exception of Wicket's own and what led to it, to every other that came
through its source and reached a test, and to the logs of servers in processes of their own. Secrets and private keys
are known from the moment at which a test hands one in, signatures and hashes for as long as the test that made them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import wicket
from tests.leaks.patterns import Known, carries_a_token, pieces_of, plain, proofs_in, secrets_in, spelled
from tests.support.django_settings import configure
from wicket.decision import extract_token as finding
from wicket.decision import identity_hash as hashes
from wicket.decision import token_parser as tokens
from wicket.errors import ConfigError, Refused
from wicket.keys import PublicKey, Secret, jwk
from wicket.reporting.reporter import Reporter

_LOGGER: Final = logging.getLogger("wicket")
_SOURCE: Final = str(Path(wicket.__file__).parent)
_SENT: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?:([A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.([A-Za-z0-9_-]*+))|([0-9a-f]{64}|[A-Za-z0-9+/]{43}=))"
)
"""What proves something in a request: a token, or an identity hash."""
PARTS: Final = "carries a hash, or a part of a token"
_REMEMBERED: Final = 200_000
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class LeakWatch:
    """What has been found; see the module."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._known = Known()
        self._met = Known()
        self._clean: set[str] = set()
        self._pieces: set[str] = set()

    def know(self, value: object) -> None:
        """Look for what is secret of this from now on, in every spelling that is long enough."""
        for text in secrets_in(value):
            self._add(self._known, text)

    def meet(self, texts: Iterable[str]) -> None:
        """Look for these in this test: what proves something once, as signatures and hashes do."""
        for text in texts:
            self._add(self._met, text)

    def _add(self, known: Known, text: str) -> None:
        """What was clean stays so, unless a piece of it is news."""
        if not self._pieces.isdisjoint(known.add(text)):
            self._clean.clear()
            self._pieces.clear()

    def keep(self, sent: str) -> None:
        """Watch from now on for values sent to a server in another process, which may log them in a later test."""
        for token, signature, proof in _SENT.findall(sent):
            for text in (*proofs_in(token), *spelled(signature or proof)):
                self._add(self._known, text)

    def check(self, where: str, text: str) -> None:
        """Fail at once where this text leaks."""
        known, self.found = self.found, []
        self.scan(where, text)
        found, self.found = self.found, known
        assert not found, f"{found[0]}:\n{text}"

    def begin(self) -> None:
        """Another test begins."""
        self.found.clear()
        self._met.clear()

    def scan(self, where: str, text: str) -> None:
        """Look through one text that Wicket said."""
        text = plain(text)
        if text in self._clean:
            return
        pieces = pieces_of(text)
        if carries_a_token(text):
            self.found.append(f"{where} carries a token")
        elif self._known.stands_in(text, pieces):
            self.found.append(f"{where} carries a secret")
        elif self._met.stands_in(text, pieces):
            self.found.append(f"{where} {PARTS}")
        elif len(self._pieces) + len(pieces) < _REMEMBERED:
            self._clean.add(text)
            self._pieces.update(pieces)

    def taken(self) -> list[str]:
        """What was found since the last time; it is no longer held against the test."""
        found, self.found = self.found, []
        return found


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
    """All texts of an exception and of those that led to it, hidden ones too: what of a traceback is no test's own."""
    while error is not None:
        yield f"{error} {error!r} {error.args!r} {getattr(error, '__notes__', '')}"
        yield from (f"{frame.name} {frame.line}" for frame in frames_of(error))
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from all_of(each)
        error = error.__cause__ or error.__context__


def frames_of(error: BaseException) -> list[traceback.FrameSummary]:
    """The places in Wicket's source through which an exception came, without what led to it."""
    frames = traceback.walk_tb(error.__traceback__)
    if not any(frame.f_code.co_filename.startswith(_SOURCE) for frame, _ in frames):
        return []
    return [each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(_SOURCE)]


def scan_raised(error: BaseException | None) -> None:
    """Look through what came out of Wicket, of whatever type it is."""
    if error is not None and frames_of(error):
        WATCH.scan(f"a {type(error).__name__} that was raised", "\n".join(all_of(error)))


def _wrap_errors() -> None:
    for cls in {each for each in _classes() if issubclass(each, BaseException)}:
        _after(cls, "__init__", functools.partial(_scan_made, cls))
    _after(type(pytest.raises(ConfigError)), "__exit__", None, before=lambda _, kind, error, *rest: scan_raised(error))
    _after(Reporter, "emit", None, before=lambda _, event: WATCH.scan("an event", repr(event)))
    _after(Reporter, "decided", None, before=_scan_decision)


def _wrap_proofs() -> None:
    """What a test hands in, before anything is done with it, and what is made of it."""
    _after(Secret, "_set", None, before=lambda _, value, *rest: WATCH.know(value))
    for name in ("from_text", "from_hex", "from_base64"):
        _after(Secret, name, None, before=lambda _, text, *rest: WATCH.know(text))
    _after(PublicKey, "from_pem", None, before=lambda _, text, *rest: WATCH.know(text))
    _replace(jwk, "import_jwk", before=lambda key, *rest: WATCH.know(key))
    _replace(hashes, "compute_hash", then=lambda made: WATCH.meet(spelled(made)))
    _replace(tokens, "parse_token", before=lambda text, *rest: WATCH.meet(proofs_in(text)))
    _replace(finding, "token_from", then=lambda found: WATCH.meet(proofs_in(found[0] or "")))


def _replace(
    module: ModuleType, name: str, *, before: Callable[..., None] | None = None, then: Callable[..., None] | None = None
) -> None:
    """Listen to a function, in whichever modules of Wicket's it is known."""
    done: Callable[..., Any] = vars(module)[name]

    @functools.wraps(done)
    def watched(*args: Any, **options: Any) -> Any:
        if before is not None:
            before(*args)
        result = done(*args, **options)
        if then is not None:
            then(result)
        return result

    for each in _modules():
        for known in [known for known, value in vars(each).items() if value is done]:
            setattr(each, known, watched)


def _scan_made(cls: type, error: Any, *_: object) -> None:
    """Look through an exception once it is whole: when the first of its classes that is Wicket's has made it."""
    if next(each for each in type(error).__mro__ if each.__module__.startswith("wicket.")) is not cls:
        return
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
    for cls in _classes():
        if "__repr__" in vars(cls):
            _wrap_repr(cls)


@functools.cache
def _modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(wicket.__path__, "wicket.")
    configure()  # Django's modules cannot be imported before
    return [wicket, *(importlib.import_module(each.name) for each in found if not each.name.endswith("__main__"))]


def _classes() -> Iterator[type]:
    for module in _modules():
        yield from (cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__)


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
    """Listen to a method, one of the class's own or one that it inherits."""
    held = inspect.getattr_static(cls, name)
    done = held.__func__ if isinstance(held, classmethod) else held

    @functools.wraps(done)
    def watched(self: Any, *args: Any, **options: Any) -> Any:
        if before is not None:
            before(self, *args)
        result = done(self, *args, **options)
        if then is not None:
            then(self, *args)
        return result

    setattr(cls, name, classmethod(watched) if isinstance(held, classmethod) else watched)


_is_enabled_for: Final = _LOGGER.isEnabledFor


def _is_heard(level: int) -> bool:
    """Whether a record is made: always, so that the filter hears of it, unless a test has set the logger's level."""
    return _LOGGER.level == logging.NOTSET or _is_enabled_for(level)


def install() -> None:
    """Begin to watch."""
    _wrap_errors()
    _wrap_proofs()
    _wrap_reprs()
    _LOGGER.addFilter(LogListener())
    _LOGGER.isEnabledFor = _is_heard  # type: ignore[method-assign]  # on purpose


def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """What ends a test came out of Wicket, perhaps."""
    if call.excinfo is not None:
        scan_raised(call.excinfo.value)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker by which a test is let off."""
    config.addinivalue_line("markers", "says_parts(why): its users are named like parts of its own tokens")


@pytest.fixture(autouse=True)
def leak_watch(request: pytest.FixtureRequest) -> Iterator[LeakWatch]:
    """Fails the test during which something was said that must not be."""
    WATCH.begin()
    yield WATCH
    found = set(WATCH.taken())
    marker = request.node.get_closest_marker("says_parts")
    if marker is not None:
        assert len(marker.args[0]) > 10, "say why"
        found = {each for each in found if not each.endswith(PARTS)}
    assert not found, f"what Wicket said during this test leaks: {sorted(found)}"
