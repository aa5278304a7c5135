"""Generate Python code and type stubs from the protos: `python protos/generate.py OUTPUT`.

Writes `OUTPUT/semsearch/**/*_pb2*`, and `OUTPUT/protos.binpb`, a FileDescriptorSet with comments that buf lints. Exits
with protoc's status; its messages name file and line.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc


def generate(protos: Path, output: Path) -> None:
    """Run protoc over every file below `protos`.

    Raises:
        SystemExit: protoc found an error, and has printed it.
    """
    output.mkdir(parents=True, exist_ok=True)
    includes = [protos, resources.files("grpc_tools") / "_proto", resources.files("google.rpc") / "../.."]
    plugins = Path(sys.executable).parent
    arguments = [
        "protoc",
        *(f"-I{folder}" for folder in includes),
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--mypy_out=quiet:{output}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--mypy_grpc_out=quiet:{output}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={output / 'protos.binpb'}",
        *(str(file.relative_to(protos)) for file in sorted(protos.rglob("*.proto"))),
    ]
    if status := protoc.main(arguments):
        raise SystemExit(status)


if __name__ == "__main__":
    generate(Path(__file__).parent, Path(sys.argv[1]))
