"""A slow model of the origin policy, written label by label and character by character."""

from __future__ import annotations

LETTERS = "abcdefghijklmnopqrstuvwxyz"

DIGITS = "0123456789"

DEFAULT_PORTS = {"https": "443", "http": "80"}


def small(text: str) -> str:
    """In small letters, ASCII only: the Kelvin sign is no k."""
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def is_label(label: str) -> bool:
    """Letters, digits, inner hyphens and inner underscores."""
    if not label or label[0] in "-_" or label[-1] in "-_":
        return False
    return all(char in LETTERS + DIGITS + "-_" for char in label)


def parts_of(text: str) -> tuple[str, list[str], str] | None:
    """Scheme, labels of the host and port, in small letters, without the scheme's own port; None where it is none."""
    scheme, separator, rest = text.partition("://")
    scheme, rest = small(scheme), small(rest)
    if not separator or not scheme or scheme[0] not in LETTERS:
        return None
    if any(char not in LETTERS + DIGITS + "+.-" for char in scheme):
        return None
    host, colon, port = rest.partition(":")
    if colon and (not port or any(char not in DIGITS for char in port) or port[0] == "0" or int(port) > 65535):
        return None
    labels = host.split(".")
    return scheme, labels, "" if port == DEFAULT_PORTS.get(scheme) else port


def is_opaque(pattern: str) -> bool:
    """Whether a pattern is an origin of a custom scheme whose host is no host name: it is compared as it is."""
    scheme, _, rest = pattern.partition("://")
    if "*" in pattern or small(scheme) in ("http", "https", "ws", "wss"):
        return False
    return not all(is_label(label) for label in small(rest).partition(":")[0].split("."))


def model(patterns: list[str], origin: str | None) -> bool:
    """Whether a request with this origin may come in, by the rules of the README."""
    if not patterns or "*" in patterns or origin is None or (origin in patterns and is_opaque(origin)):
        return True
    patterns = [pattern for pattern in patterns if not is_opaque(pattern)]
    asking = parts_of(origin)
    if asking is not None and (len(".".join(asking[1])) > 253 or len(asking[1]) > 127):
        return False  # no host of DNS
    return asking is not None and any(admits(pattern, asking) for pattern in patterns)


def fits(pattern: str, label: str) -> bool:
    """Whether a label is that of the pattern, whose `*` is one or more characters."""
    before, star, after = pattern.partition("*")
    if not star:
        return label == pattern
    longer = len(label) > len(before) + len(after)
    return is_label(label) and longer and label.startswith(before) and label.endswith(after)


def admits(pattern: str, asking: tuple[str, list[str], str]) -> bool:
    scheme, labels, port = asking
    pattern = f"https://{pattern}" if pattern.startswith("*.") else pattern
    any_port = pattern.endswith(":*")
    wanted = parts_of(pattern.removesuffix(":*"))
    assert wanted is not None
    wanted_scheme, wanted_labels, wanted_port = wanted
    if scheme != wanted_scheme or not (any_port or port == wanted_port):
        return False
    if wanted_labels[0] != "*":
        if "*" not in ".".join(wanted_labels):
            return labels == wanted_labels
        return len(labels) == len(wanted_labels) and all(map(fits, wanted_labels, labels))
    suffix = wanted_labels[1:]
    return (
        len(labels) > len(suffix)
        and labels[len(labels) - len(suffix) :] == suffix
        and all(is_label(label) for label in labels[: len(labels) - len(suffix)])
    )
