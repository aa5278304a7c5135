#!/bin/sh
# Checks the prerequisites before anything is installed: `scripts/check_machine.sh PYTHON`.
# Prints one sentence on stderr and exits with 1 if something is missing.
set -eu

python=$1

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null ||
    fail "There is no '$python' on the PATH: install Python 3.11, 3.12 or 3.13, or name one with 'make setup PYTHON=...'."

# TensorFlow 2.21 has wheels for CPython up to 3.13.
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    fail "semsearch runs on Python 3.11, 3.12 and 3.13, but '$python' is $("$python" -c 'import platform; print(platform.python_version())'): install one of them and name it with 'make setup PYTHON=...'."

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' cannot create environments because its module venv or ensurepip is missing: install it (Debian and Ubuntu: apt install python3-venv)."

# Annoy, the index's engine, is compiled from source.
compiler=${CXX:-c++}
command -v "${compiler%% *}" >/dev/null ||
    fail "There is no C++ compiler '${compiler%% *}', which is needed to compile the index's engine: install one (Debian and Ubuntu: apt install g++; macOS: xcode-select --install)."

include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
test -f "$include/Python.h" ||
    fail "Python's headers are missing ($include/Python.h), which are needed to compile the index's engine: install them (Debian and Ubuntu: apt install python3-dev)."

printf '#include <vector>\nstd::vector<int> v;\n' | $compiler -x c++ -fsyntax-only - 2>/dev/null ||
    fail "The C++ compiler '$compiler' cannot compile a program that uses the standard library: install the complete compiler (Debian and Ubuntu: apt install g++)."
