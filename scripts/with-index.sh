#!/bin/sh
# Runs a command with the certificates and package index of the machine that builds the image. They come as build
# secrets, so that nothing of them is stored; each may be absent. pip reads its own settings, uv is told the same.
set -eu

secrets=/run/secrets

given() { [ -s "$secrets/$1" ]; }

# Prints a setting of the given pip configuration; what is set for "install" goes before "global", as pip has it.
setting() {
    [ -n "${PIP_CONFIG_FILE:-}" ] || return 0
    python3 - "$PIP_CONFIG_FILE" "$1" <<'END'
import configparser, sys
config = configparser.RawConfigParser()
config.read(sys.argv[1])
for section in ("install", "global"):
    if config.has_option(section, sys.argv[2]):
        print(*config.get(section, sys.argv[2]).split())
        break
END
}

if given ca-bundle; then
    export SSL_CERT_FILE="$secrets/ca-bundle" PIP_CERT="$secrets/ca-bundle"
fi
if given pip-conf; then export PIP_CONFIG_FILE="$secrets/pip-conf"; fi
# A variable that is not set on the host arrives as an empty file: it counts as not given.
if given pip-index-url; then
    PIP_INDEX_URL=$(cat "$secrets/pip-index-url")
    export PIP_INDEX_URL
fi
if given pip-extra-index-url; then
    PIP_EXTRA_INDEX_URL=$(cat "$secrets/pip-extra-index-url")
    export PIP_EXTRA_INDEX_URL
fi

index=${PIP_INDEX_URL:-$(setting index-url)}
extra=${PIP_EXTRA_INDEX_URL:-$(setting extra-index-url)}
hosts=$(setting trusted-host)
if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
if [ -n "$hosts" ]; then export UV_INSECURE_HOST="$hosts"; fi
# pip takes the best file of all its indexes; the hashes in the locks make that as safe as asking one.
if [ -n "$extra" ]; then export UV_INDEX="$extra" UV_INDEX_STRATEGY=unsafe-best-match; fi
# The wheels of torch are large: a slow mirror may pause for longer than uv waits by default.
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}" PIP_DEFAULT_TIMEOUT="${PIP_DEFAULT_TIMEOUT:-180}"

exec "$@"
