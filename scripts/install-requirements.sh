#!/bin/sh
# Installs a hash-pinned lock into the image's virtual environment: install-requirements.sh LOCK [WHEEL...]
# The wheels are those that a build stage compiled from source; their sources were checked against a lock there.
set -eu

build=/run/build
python=/opt/venv/bin/python3
lock=$1
shift

uv() { sh "$build/scripts/with-index.sh" "$build/uv/bin/uv" "$@"; }

# The cache is a mount of its own, from which nothing can be linked into the image.
export UV_CACHE_DIR="$build/cache" UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never

if [ $# -gt 0 ]; then uv pip install --python "$python" --offline --no-deps "$@"; fi
# Containers run with a read-only root, so that bytecode which is not there now would be compiled at every start.
uv pip install --python "$python" --require-hashes --only-binary :all: --compile-bytecode --requirements "$lock"
uv pip check --python "$python"
