"""Commands of the supply chain: `make sbom`, `make licences` and `make release` call them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from supply.bill_of_materials import bill_of_materials
from supply.licences import Policy, problems
from supply.locks import read_locks
from supply.shipped import NotReleasable, committed_at, sign, write_checksums, write_source

ROOT = Path(__file__).parents[1]
BILL = "semsearch.cdx.json"
app = typer.Typer(help="Say what the project depends on, and make what it ships.", no_args_is_help=True)


@app.command()
def sbom(out: Annotated[Path, typer.Option(help="The file to write.")] = Path("dist") / BILL) -> None:
    """Write the bill of materials (CycloneDX JSON)."""
    packages = read_locks(ROOT)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(bill_of_materials(ROOT, packages, Policy.read(), committed_at(ROOT)), encoding="utf-8")
    typer.echo(f"{out}: {len(packages)} packages")


@app.command()
def licences() -> None:
    """Check the licences of all packages in all locks."""
    packages = read_locks(ROOT)
    if found := problems(packages, Policy.read()):
        typer.echo("\n".join(found), err=True)
        raise typer.Exit(1)
    typer.echo(f"The licences of {len(packages)} packages are allowed.")


@app.command()
def release(
    key: Annotated[Path, typer.Option(help="The OpenSSH private key that signs the checksums.", exists=True)],
    out: Annotated[Path, typer.Option(help="The folder to make; it must not exist.")] = Path("dist/release"),
) -> None:
    """Make what a release ships, with signed checksums."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = f"semsearch-{project['version']}"
    try:
        out.mkdir(parents=True)
        write_source(ROOT, out / f"{name}.tar.gz", name)
        hatchling = Path(sys.executable).with_name("hatchling")
        subprocess.run([hatchling, "build", "-t", "wheel", "-d", out.resolve()], cwd=ROOT / "client", check=True)
        sbom(out / BILL)
        signature = sign(write_checksums(out), key)
    except FileExistsError:
        _fail(f"{out} exists. Remove it, or name another folder with --out.")
    except NotReleasable as error:
        shutil.rmtree(out)
        _fail(str(error))
    typer.echo(f"{signature.parent}: {', '.join(sorted(each.name for each in out.iterdir()))}")


def _fail(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
