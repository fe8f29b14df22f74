"""`wicket explain`: prints the diagnosis of a token, an identity hash or a URL."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wicket.diagnostics import Diagnosis


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Print the steps as a table, then the decision, then the findings."""
    marks = {True: Text("✓", "green"), False: Text("✗", "red"), None: Text("·", "dim")}
    table = Table("", "step", "expected", "found")
    *steps, decision = diagnosis.steps
    for step in steps:
        table.add_row(marks[step.passed], step.name, Text(step.expected), Text(step.found))
    console.print(table)
    console.print(marks[decision.passed], Text(decision.found))
    for finding in diagnosis.findings:
        console.print(Text.assemble(("→ ", "red"), (finding.code, "bold"), f": {finding.detail}"))


def print_json(diagnosis: Diagnosis) -> None:
    """Print the diagnosis as JSON in ASCII."""
    click.echo(json.dumps(diagnosis.as_dict(), indent=2))
