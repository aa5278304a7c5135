"""Build hook of hatchling: generates the protos' Python code into every wheel."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtoBuildHook(BuildHookInterface[Any]):
    """Generates `semsearch/**/*_pb2*.py` and their stubs and adds them to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Runs protoc, unless this is an editable install: there `make protos` has done it."""
        if version == "editable":
            return
        import sys

        sys.path.insert(0, str(Path(self.root) / "protos"))
        from generate import generate

        self._folder = tempfile.TemporaryDirectory()
        generate(Path(self.root) / "protos", Path(self._folder.name))
        build_data["force_include"][str(Path(self._folder.name) / "semsearch")] = "semsearch"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes the generated code again."""
        if version != "editable":
            self._folder.cleanup()
