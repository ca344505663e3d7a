#!/usr/bin/env bash
# A short run of the chaos harness (docs/chaos.md), in a mode in which nothing may be lost: a handover, a killed
# postmaster, a primary that is cut off, and one whose power fails. Longer ones: ./dev chaos. 77: it cannot run here.
# usage: chaos_test.sh PGKEEL
set -euo pipefail
exec python3 -B "$(dirname "$0")/../chaos/run.py" --binary "$1" --mode sync --seed 1 --minutes 1 --patience 120 \
    --in-order --faults switchover,postmaster-killed,primary-isolated,power-lost
