"""What nothing may say: secrets, private keys, hashes and signatures, each in every usual spelling; tokens by look."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

RUN: Final = 16
"""How many characters in a row give a secret away; shorter ones are not looked for, they may stand in any text."""
_BLOCK: Final = RUN // 2
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,4096}+\.[A-Za-z0-9_-]{8}")
_SEGMENTS: Final = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z0-9_-]{12,}+)\.[A-Za-z0-9_-]{8}")
_OBJECT: Final = re.compile(rb'\s*\{\s*"')
_PUBLIC: Final = (b"-----BEGIN", b'{"', b'[{"', b"\xef\xbb\xbf-----BEGIN")
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "k")
"""The members of a JWK that are secret (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1)."""
_LONGEST: Final = 4096


class Known:
    """Texts of which no run of `RUN` characters may be said.

    Kept are the blocks that begin at each eighth character: whatever run is cut out, a whole block stands in it.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, list[tuple[str, int]]] = {}
        self._texts: set[str] = set()

    def add(self, text: str) -> list[str]:
        """Look for this text from now on. Returns its blocks, if that is news."""
        if len(text) < RUN or text in self._texts:
            return []
        self._texts.add(text)
        added: list[str] = []
        for start in range(0, len(text) - _BLOCK + 1, _BLOCK):
            block = text[start : start + _BLOCK]
            if len(set(block)) > 1:  # one character repeated is in every long text
                self._blocks.setdefault(block, []).append((text, start))
                added.append(block)
        return added

    def clear(self) -> None:
        """Look for none of them any more."""
        self._blocks.clear()
        self._texts.clear()

    def stands_in(self, said: str, pieces: list[str]) -> bool:
        """Whether the text contains a run of any of these values; `pieces` are its `pieces_of`."""
        blocks = self._blocks
        if blocks.keys().isdisjoint(pieces):
            return False
        return any(
            _run(text, start, said, index) >= RUN
            for index, piece in enumerate(pieces)
            for text, start in blocks.get(piece, ())
        )


def pieces_of(said: str) -> list[str]:
    """The block at each position of a text."""
    return [said[index : index + _BLOCK] for index in range(len(said) - _BLOCK + 1)]


def _run(text: str, start: int, said: str, index: int) -> int:
    """How many characters around these two places are the same in both."""
    before = after = 0
    while before < min(start, index) and text[start - before - 1] == said[index - before - 1]:
        before += 1
    while after < min(len(text) - start, len(said) - index) and text[start + after] == said[index + after]:
        after += 1
    return before + after


def carries_a_token(text: str) -> bool:
    """Whether the text contains a token, its header with or without spaces; a signature is not needed."""
    return _TOKEN.search(text) is not None or any(_is_header(match[1]) for match in _SEGMENTS.finditer(text))


def _is_header(segment: str) -> bool:
    try:
        return _OBJECT.match(base64.urlsafe_b64decode(segment[:16])) is not None
    except binascii.Error:
        return False


def spellings(value: bytes) -> set[str]:
    """Every usual way to write these bytes."""
    coded = base64.b64encode(value).decode()
    spelled = {value.hex(), value.hex().upper(), coded, coded.replace("+", "-").replace("/", "_")}
    spelled |= {value.decode("latin-1"), repr(value)[2:-1], value.decode("utf-8", "replace")}
    return {plain(each.rstrip("=")) for each in spelled}


def secrets_in(value: object) -> Iterator[str]:
    """What is secret of the material that a test hands in: all of it, or the private part of what has a public one."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if isinstance(value, Mapping):
        yield from _private_members(value)
    elif isinstance(value, bytes) and value.strip().startswith(_PUBLIC):
        with contextlib.suppress(ValueError, RecursionError):
            yield from _private_members(json.loads(value))
        if b"PRIVATE KEY-----" in value:
            yield from (line.decode() for line in value.split() if line.isascii() and b"-" not in line)
    elif isinstance(value, bytes) and len(set(value)) > 2:  # one byte repeated is in every long text
        yield from spellings(value)


def _private_members(found: Any) -> Iterator[str]:
    """Those of a JWK, of a set of them, or of a list."""
    inner = found if isinstance(found, list) else found.get("keys") if isinstance(found, Mapping) else None
    for each in inner if isinstance(inner, list) else ():
        yield from _private_members(each)
    for name in _PRIVATE if isinstance(found, Mapping) else ():
        if isinstance(found.get(name), str):
            yield from spelled(found[name])


def spelled(text: str) -> Iterator[str]:
    """A text in hexadecimal, base64 or base64url, and the other spellings of its bytes."""
    yield plain(text)
    for read in (bytes.fromhex, lambda coded: base64.b64decode(coded + "=" * (-len(coded) % 4), "-_", validate=True)):
        with contextlib.suppress(ValueError):
            yield from spellings(read(text.rstrip("=").replace("+", "-").replace("/", "_")))
            return


def proofs_in(token: str) -> Iterator[str]:
    """What a token proves something with: its claims and its signature, or all of it where it has no parts."""
    parts = token[:_LONGEST].split(".")
    yield from (plain(part) for part in parts[1:3] or parts)
    if len(parts) > 2 and not _is_text(parts[2]):
        yield from spelled(parts[2])


def _is_text(segment: str) -> bool:
    """Whether a segment decodes to text. In the position of a signature it holds claims."""
    try:
        base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode()
    except ValueError:
        return False
    return True


def plain(text: str) -> str:
    """A text of which a `repr` has been made twice, as if it had been made once."""
    while "\\\\" in text:
        text = text.replace("\\\\", "\\")
    return text
