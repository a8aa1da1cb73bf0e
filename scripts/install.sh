#!/bin/sh
# Makes an image of a fetched set of packages: install.sh FETCHED
# Nothing needs to be downloaded here: FETCHED, written by fetch.sh, says what of the cache is installed.
set -eu

build=/run/build
fetched=$1
venv=/opt/venv

# The home is the volume for data, because the rest of the file system is read-only when an agent runs, and what
# libraries download into ~/.cache is worth keeping. The empty folders give their owner to the volumes mounted there.
if [ ! -d "$venv" ]; then
    groupadd --gid 10001 agent
    useradd --uid 10001 --gid agent --home-dir /app/data --no-create-home --shell /usr/sbin/nologin agent
    install -d /app /opt/build /opt/requirements
    install -d -o agent -g agent /app/logs /app/data
    python3 -m venv --without-pip "$venv"
fi
# For the service images, whose build context is the monorepo.
cmp -s "$build/scripts/compile_code.py" /opt/build/compile_code.py \
    || install -m 644 "$build/scripts/compile_code.py" /opt/build/
for name in $LOCKS; do
    install -m 644 "$build/requirements/requirements.$name.lock" /opt/requirements/
done

# Beside the rest: one of the two mostly copies, the other mostly computes. What it says is shown at the end, where the
# reason of a failure is looked for.
system_packages=
said=
if [ -n "$SYSTEM_PACKAGES" ]; then
    set --
    set -f
    for pattern in $SYSTEM_EXCLUDE; do set -- "$@" -o "Dpkg::Options::=--path-exclude=$pattern"; done
    said=$(mktemp)
    sh "$build/scripts/apt.sh" "$(cat "$fetched/apt")" "$@" > "$said" 2>&1 &
    system_packages=$!
fi

# The cache is a mount of its own, from which nothing can be linked into the image.
UV_CACHE_DIR=$(cat "$fetched/uv-cache")
export UV_CACHE_DIR UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
export VIRTUAL_ENV="$venv"
uv=$(cat "$fetched/tools")/bin/uv

# Their sources were checked against the lock when they were compiled.
if [ -e "$fetched/wheels" ]; then xargs -d '\n' "$uv" pip install --offline --no-deps < "$fetched/wheels"; fi
if [ -s "$fetched/index.lock" ]; then
    packages() {
        "$uv" pip install --no-deps --require-hashes --only-binary :all: --requirements "$fetched/index.lock" "$@"
    }
    # What was fetched once may be gone from the cache by now.
    packages --offline || packages
fi
"$uv" pip check
"$venv/bin/python3" "$build/scripts/finish_packages.py" "$build/cache/bytecode"
if [ -n "$system_packages" ]; then
    result=0
    wait "$system_packages" || result=$?
    cat "$said" >&2
    rm "$said"
    exit "$result"
fi
