#!/bin/sh
# Brings everything that an image adds to its parent into the cache: fetch.sh OUT
# What stands in the cache was checked against the locks when it came; OUT says what of it the image is made of. Builds
# that run at the same time share the cache: what is made in it is moved into place when it is whole.
set -eu

build=/run/build
cache=$build/cache
out=$1
build_lock=$build/requirements/requirements.build.lock

digest() { cat "$@" | sha256sum | cut -c1-16; }

# Runs `COMMAND FOLDER` for a new folder of the cache: once NAME COMMAND. Nothing is done if it is there.
once() {
    exec 9> "$cache/$1.lock"
    flock 9
    if [ ! -d "$cache/$1" ]; then
        rm -rf "$cache/$1.new"
        mkdir "$cache/$1.new"
        "$2" "$cache/$1.new"
        mv "$cache/$1.new" "$cache/$1"
    fi
    exec 9>&-
}

# The build tools are those of requirements.build.lock, hash-checked like everything else, instead of whatever the index
# offers at the time.
install_tools() {
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --target "$1" --require-hashes --requirement "$build_lock"
}

compile_wheels() {
    compilers="gcc libc6-dev"
    # The official Python image brings its own headers; a Debian one has them in a package.
    headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
    if [ ! -e "$headers/Python.h" ]; then compilers="$compilers python3-dev"; fi
    SYSTEM_PACKAGES=$compilers sh "$build/scripts/apt.sh" "$(mktemp -d)"
    PYTHONPATH="$tools" python3 -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps \
        --no-build-isolation --require-hashes --requirement "$out/source.lock" --wheel-dir "$1"
}

mkdir -p "$out"
# Before compilers are installed, whose libraries apt would not download again for an image that needs them, too.
if [ -n "$SYSTEM_PACKAGES" ]; then
    apt=$cache/apt-$({ echo "$SYSTEM_PACKAGES"; cat /etc/os-release; } | digest)
    echo "$apt" > "$out/apt"
    # The same was done a moment ago if this image was fetched while its parent was built.
    if [ -z "$(find "$apt/fetched" -mmin -15 2> /dev/null)" ]; then
        mkdir -p "$apt"
        sh "$build/scripts/apt.sh" "$apt" --download-only
        flock "$apt/lock" python3 "$build/scripts/debs.py" "$apt/archives" "$apt/repository"
        touch "$apt/fetched"
    fi
fi

tools=tools-$(digest "$build_lock")
once "$tools" install_tools
tools=$cache/$tools
echo "$tools" > "$out/tools"
# Different releases of uv do not share a cache well.
UV_CACHE_DIR=$cache/uv-$("$tools/bin/uv" --version | cut -d ' ' -f 2)
echo "$UV_CACHE_DIR" > "$out/uv-cache"
python3 "$build/scripts/pins.py" "$build/requirements" "$out"

if [ -s "$out/source.lock" ]; then
    wheels=wheels-$({ cat "$out/source.lock" "$build_lock"; python3 -VV; uname -m; } | digest)
    once "$wheels" compile_wheels
    ls "$cache/$wheels"/*.whl > "$out/wheels"
fi

# Links into the cache instead of copies: nothing but the cache is wanted here. What is there already needs no index.
if [ -s "$out/index.lock" ]; then
    # With uv's three retries a network that was gone for 40 s ended a build.
    export UV_CACHE_DIR UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=symlink UV_HTTP_RETRIES=8
    linked=$(mktemp -d)
    fetch() {
        "$tools/bin/uv" pip install --python python3 --target "$linked" --no-deps --require-hashes \
            --only-binary :all: --requirements "$out/index.lock" "$@"
    }
    fetched=$cache/fetched-$(digest "$out/index.lock")
    if [ ! -e "$fetched" ]; then
        fetch --offline --quiet 2> /dev/null || fetch
        python3 "$build/scripts/finish_packages.py" "$cache/bytecode" "$linked"
        touch "$fetched"
    fi
fi
touch "$out/done"
