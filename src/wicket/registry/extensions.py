"""Functions of one's own that app tables name. Only code and the operator's file say what a name stands for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from wicket.errors import Problems
from wicket.registry.toml_locations import LOCATIONS

Extensions = Mapping[str, Callable[..., Any]]
"""Functions by name. A class of locations takes the text after the colon, which may be empty. The others are values of
settings, such as `format_error`."""

NO_EXTENSIONS: Final[Extensions] = MappingProxyType({})
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IMPORT_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*")


def check_extensions(problems: Problems, path: str, extensions: object) -> Extensions:
    """Return the valid extensions. Add a problem for each other one.

    Args:
        problems: Collects the problems.
        path: The path to the setting.
        extensions: The value of the setting. None: no extensions.
    """
    if extensions is None:
        return NO_EXTENSIONS
    if not isinstance(extensions, Mapping):
        problems.add(path, "must be a mapping of names to functions", "{'partner_header': PartnerHeader}")
        return NO_EXTENSIONS
    valid: dict[str, Any] = {}
    for name, function in extensions.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.add(path, "contains a name that is not a lower-case word", "partner_header")
        elif any(name in factories for factories in LOCATIONS.values()):
            problems.add(f"{path}.{name}", "is the name of a location of Wicket", "choose another name")
        elif not callable(function):
            problems.add(f"{path}.{name}", "must be a function")
        else:
            valid[name] = function
    return MappingProxyType(valid)


def import_extensions(problems: Problems, path: str, table: object) -> Extensions:
    """Return the extensions that the import paths of a table name.

    Args:
        problems: Collects the problems.
        path: The path to the table.
        table: The import paths by name, each of the form `package.module:attribute`.
    """
    if not isinstance(table, dict):
        problems.add(path, "must be a table", 'partner_header = "acme.locations:PartnerHeader"')
        return NO_EXTENSIONS
    functions: dict[str, Any] = {}
    for name, import_path in table.items():
        if not isinstance(import_path, str) or not _IMPORT_PATH.fullmatch(import_path):
            problems.add(f"{path}.{name}", "must be an import path", "acme.locations:PartnerHeader")
            continue
        module, _, attribute = import_path.partition(":")
        try:
            value: Any = importlib.import_module(module)
            for part in attribute.split("."):
                value = getattr(value, part)
        except Exception as error:  # noqa: BLE001 - the module runs code of the operator, and may raise anything
            problems.add(f"{path}.{name}", f"cannot be imported: {type(error).__name__}: {error}", "module:function")
        else:
            functions[name] = value
    return check_extensions(problems, path, functions)
