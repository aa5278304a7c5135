"""Generate TypeScript from the public protos: `python page/generate.py`.

Writes page/src/gen. Needs `npm ci` in page/ and Node on the PATH. Exits with protoc's status; its messages name file
and line.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PAGE = Path(__file__).parent
PROTOS = PAGE.parent / "protos"
# Details of errors, which no proto of ours imports.
ERRORS = ("google/rpc/status.proto", "google/rpc/error_details.proto")


def generate(output: Path) -> None:
    """Run protoc-gen-es over the protos that clients see.

    Raises:
        SystemExit: protoc found an error, and has printed it.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    includes = [PROTOS, resources.files("grpc_tools") / "_proto", resources.files("google.rpc") / "../.."]
    arguments = [
        "protoc",
        *(f"-I{folder}" for folder in includes),
        f"--plugin=protoc-gen-es={PAGE / 'node_modules/.bin/protoc-gen-es'}",
        f"--es_out={output}",
        "--es_opt=target=ts",
        *(str(file.relative_to(PROTOS)) for file in sorted(PROTOS.glob("semsearch/v1/*.proto"))),
        *ERRORS,
    ]
    if status := protoc.main(arguments):
        raise SystemExit(status)


if __name__ == "__main__":
    generate(PAGE / "src/gen")
