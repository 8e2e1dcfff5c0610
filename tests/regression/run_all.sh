#!/usr/bin/env bash
# The regression suite by tier: a thin door to the commands of xtask.
set -euo pipefail

tier=pr
while [ $# -gt 0 ]; do
    case "$1" in
    --tier)
        tier="${2:?--tier needs a name: pr}"
        shift 2
        ;;
    *)
        echo "usage: $0 [--tier pr]" >&2
        exit 2
        ;;
    esac
done

cd "$(dirname "$0")/../.."
case "$tier" in
pr) exec cargo xtask test ;;
*)
    echo "tier $tier does not exist yet; there is: pr" >&2
    exit 2
    ;;
esac
