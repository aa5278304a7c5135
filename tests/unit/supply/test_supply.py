"""The bill of materials, the licences, and signed checksums."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply import licences, locks
from supply.bill_of_materials import bill_of_materials
from supply.licences import Policy
from supply.locks import Ecosystem, Package
from supply.shipped import NAMESPACE, NotReleasable, sign, write_checksums, write_source

ROOT = Path(__file__).parents[3]
MADE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def bill() -> str:
    return bill_of_materials(ROOT, locks.read_locks(ROOT), Policy.read(), MADE)


def package(name: str, licence: str) -> Package:
    return Package(Ecosystem.NPM, name, "1.0", frozenset(), ("a.lock",), licence)


def test_the_bill_is_valid_cyclonedx_and_always_the_same(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert bill == bill_of_materials(ROOT, locks.read_locks(ROOT), Policy.read(), MADE)


def test_the_bill_has_each_package_of_each_lock_with_its_hashes(bill: str) -> None:
    components = json.loads(bill)["components"]
    names = {component["name"] for component in components if component["purl"].startswith("pkg:pypi/")}
    pinned = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", pinned, re.MULTILINE):
        assert name in names, f"{name} {version}"
    assert all(component["hashes"] for component in components)
    assert set(re.findall(r"--hash=sha256:([0-9a-f]{64})", pinned)) <= {
        each["content"] for component in components for each in component["hashes"]
    }
    assert {*locks.PYTHON_LOCKS, *locks.NPM_LOCKS} == {
        each["value"] for component in components for each in component["properties"]
    }


def test_every_lock_of_the_checkout_is_read() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {each for each in tracked if each.endswith((".lock", "package-lock.json"))} == {
        *locks.PYTHON_LOCKS,
        *locks.NPM_LOCKS,
    }


def test_keys_that_are_made_in_the_checkout_stay_out_of_git() -> None:
    files = ["certs/ca.key", "certs/server.key"]  # where `semsearch certs make` puts them
    subprocess.run(["git", "check-ignore", *files], cwd=ROOT, check=True)


def test_the_bill_distinguishes_what_a_suite_needs(bill: str) -> None:
    scopes = {component["name"]: component["scope"] for component in json.loads(bill)["components"]}
    assert (scopes["grpcio"], scopes["wrapt"], scopes["pytest"]) == ("required", "required", "optional")


def test_the_licences_of_the_suite_are_allowed() -> None:
    policy = Policy.read()
    suite = [each for each in locks.read_locks(ROOT) if {"requirements.lock", *locks.NPM_LOCKS} & set(each.locks)]
    assert not [each for each in licences.problems(suite, policy) if "no lock has it" not in each]


@pytest.mark.parametrize(
    ("licence", "problem"),
    [
        ("MIT", ""),
        ("GPL-2.0-only OR MIT", ""),
        ("GPL-2.0-only AND MIT", "does not allow"),
        ("AGPL-3.0-only", "does not allow"),
        ("", "or states no licence"),
    ],
)
def test_a_licence_is_compared_with_the_policy(licence: str, problem: str) -> None:
    found = licences.problems([package("one", licence)], Policy(frozenset({"MIT"}), {}, {}))
    assert [problem in each for each in found] == ([True] if problem else [])


def test_an_entry_of_the_policy_that_nothing_needs_is_a_problem() -> None:
    (found,) = licences.problems([package("one", "MIT")], Policy(frozenset({"MIT"}), {"two": "MIT"}, {}))
    assert found.startswith("two is in policy.toml, but no lock has it")


def test_a_signature_is_valid_for_these_files_only(tmp_path: Path) -> None:
    key, folder = tmp_path / "key", tmp_path / "release"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    sums = write_checksums(folder)
    signature = sign(sums, key)
    signers = tmp_path / "signers"
    signers.write_text(f"release@semsearch {key.with_suffix('.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "release@semsearch", "-n", NAMESPACE, "-s", signature]
    assert subprocess.run(command, input=sums.read_bytes(), check=False).returncode == 0
    assert subprocess.run(["sha256sum", "--check", sums.name], cwd=folder, check=False).returncode == 0
    (folder / "a.txt").write_text("b")
    assert subprocess.run(["sha256sum", "--check", sums.name], cwd=folder, check=False).returncode == 1
    sums.write_text(sums.read_text().replace("a.txt", "b.txt"))
    assert subprocess.run(command, input=sums.read_bytes(), check=False).returncode != 0


def test_only_what_is_committed_is_released(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    (root / "file").write_text("committed")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "Add a file"]):
        subprocess.run([*git, *command], check=True)
    for name in ("one.tar.gz", "two.tar.gz"):
        write_source(root, tmp_path / name, "it-1")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    shutil.unpack_archive(tmp_path / "one.tar.gz", tmp_path, filter="data")
    assert (tmp_path / "it-1" / "file").read_text() == "committed"
    (root / "file").write_text("changed")
    with pytest.raises(NotReleasable, match="file"):
        write_source(root, tmp_path / "three.tar.gz", "it-1")
