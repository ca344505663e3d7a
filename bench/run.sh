#!/usr/bin/env bash
# Failover figures on one machine: a pgkeel cluster, then Debian's Patroni behind HAProxy. See --help and bench/README.md.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

need() {
    command -v "$1" >/dev/null || { echo "bench: '$1' is not installed: run ./dev deps" >&2; exit 1; }
}
need /usr/bin/python3  # Debian's own, which sees Debian's psycopg2
need etcd
need git
/usr/bin/python3 -c 'import psycopg2' 2>/dev/null || { echo "bench: python3-psycopg2 is not installed: run ./dev deps" >&2; exit 1; }

exec /usr/bin/python3 -B "$here/failover/main.py" "$@"
