#!/bin/sh
# Installs SYSTEM_PACKAGES by way of a folder of the cache: apt.sh FOLDER [OPTION...]
# Lists and archives are kept in FOLDER, so that what one stage has downloaded the next one installs. If they have been
# unpacked into FOLDER/repository since, they are installed from there.
set -eu

folder=$1
shift

# Another build may be using the same folder.
exec 9> "$folder/lock"
flock 9

# shellcheck disable=SC2086 # lists of words
apt() {
    $patience apt-get -qq -o APT::Sandbox::User=root -o Acquire::Languages=none -o Dir::State::Lists="$state/lists" \
        -o Dir::Cache::Archives="$state/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= $sources "$@"
}

patience=
if [ -e "$folder/repository/Packages" ] && [ "${1:-}" != --download-only ]; then
    state=$folder/local
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    echo "deb [trusted=yes] file:$folder/repository ./" > "$state/sources.list"
    sources="-o Dir::Etc::sourcelist=$state/sources.list -o Dir::Etc::sourceparts=-"
    apt update
else
    state=$folder
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    sources=
    # The stage before has asked a moment ago.
    if [ -z "$(find "$folder/updated" -mmin -15 2> /dev/null)" ]; then
        # apt-get 2.6.1 has been seen to wait for its own helpers for ever, with all of them idle.
        patience="timeout 120"
        apt update || { [ $? -eq 124 ] && apt update; }
        patience=
        touch "$folder/updated"
        if ls "$folder"/archives/*.deb > /dev/null 2>&1; then apt autoclean; fi
    fi
fi
# A container is thrown away if its build dies: nothing is gained by waiting for the disk after each file.
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive apt install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
    "$@" $SYSTEM_PACKAGES
