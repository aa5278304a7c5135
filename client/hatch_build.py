"""Build hook of hatchling: adds generated code to the wheel, and its protos to the sdist."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The client's protos: the public ones, and for operators those of the index service and of the file of tokens.
_PACKAGES = ("semsearch/v1", "semsearch/access/v1", "semsearch/index/v1")


class ProtoBuildHook(BuildHookInterface[Any]):
    """Adds the protos' generated code. An editable install needs none, since `make protos` has generated it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add protos to an sdist and generated code to a wheel."""
        if version == "editable":
            return
        protos = Path(self.root) / "protos"
        if not protos.exists():  # a checkout; an sdist contains them
            protos = Path(self.root).parent / "protos"
        added: dict[str, str] = build_data["force_include"]
        if self.target_name == "sdist":
            for name in ("generate.py", *_PACKAGES):
                added[str(protos / name)] = f"protos/{name}"
        else:
            self._folder = tempfile.TemporaryDirectory()
            _generate(protos, Path(self._folder.name))
            for name in _PACKAGES:
                added[str(Path(self._folder.name) / name)] = name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the generated code again."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def _generate(protos: Path, output: Path) -> None:
    """Run the generator next to the protos."""
    runpy.run_path(str(protos / "generate.py"))["generate"](protos, output)
