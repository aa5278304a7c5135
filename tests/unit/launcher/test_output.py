"""As JSON, each line of the launcher's output is a document, whoever said it."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console
from rich.text import Text

from launcher.output import JsonOutput, Output


def documents(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_logs_keep_what_they_have_and_get_the_name_of_their_process() -> None:
    stream = io.StringIO()
    JsonOutput(stream).show("gateway-2", Text('{"event": "ready", "level": "info", "service": "gateway"}'))
    assert documents(stream) == [{"process": "gateway-2", "event": "ready", "level": "info", "service": "gateway"}]


def test_what_is_no_log_becomes_an_event() -> None:
    stream = io.StringIO()
    output = JsonOutput(stream)
    for line in ("Traceback (most recent call last):", "error: No disk.", "", "17"):
        output.show("index", Text(line))
    assert [(each["process"], each["level"], each["event"]) for each in documents(stream)] == [
        ("index", "info", "Traceback (most recent call last):"),
        ("index", "error", "No disk."),
        ("index", "info", "17"),
    ]


def test_each_line_of_the_launcher_is_a_document_however_long() -> None:
    stream = io.StringIO()
    long = "x" * 500
    JsonOutput(stream).console.print(f"Ready:\n\n{long} [red]")
    assert [(each["process"], each["event"]) for each in documents(stream)] == [
        ("launcher", "Ready:"),
        ("launcher", f"{long} [red]"),
    ]
    assert {each["level"] for each in documents(stream)} == {"info"}
    assert all(each["timestamp"].endswith("Z") for each in documents(stream))


def test_for_people_lines_stand_behind_names_of_one_width() -> None:
    stream = io.StringIO()
    output = Output(Console(file=stream, soft_wrap=True, highlight=False))
    output.name("index", "gateway")
    output.show("index", Text("ready"))
    assert stream.getvalue() == "index   | ready\n"
