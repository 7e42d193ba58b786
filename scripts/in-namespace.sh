#!/usr/bin/env bash
# Runs a command in its own network namespace, which has `lo` and a wire (a veth pair) with both
# ends inside, 10.77.0.1/24 and 10.77.0.2/24. The namespace vanishes with its last process.
#
#     scripts/in-namespace.sh COMMAND ARGUMENT…
#
# Tests of mDNS need it: mDNS does not run on `lo`, and on a shared wire it finds other nodes. Exits
# with the command's exit code, or with 77 and one line with the reason on stderr if the machine
# does not permit such a namespace.
set -euo pipefail

skip() {
    echo "in-namespace.sh: SKIPPED: $*" >&2
    exit 77
}

if [[ ${1-} != --inside ]]; then
    (($# > 0)) || { echo "usage: in-namespace.sh COMMAND ARGUMENT…" >&2; exit 2; }
    for tool in unshare ip; do
        command -v "$tool" >/dev/null || skip "the \`$tool\` command is missing"
    done
    # Root in a new user namespace is enough, if the kernel permits one.
    for how in "unshare --net" "unshare --user --map-root-user --net"; do
        # Try with `true` first: its exit code cannot be confused with that of the command.
        # shellcheck disable=SC2086 # split into words on purpose
        if why=$($how -- true 2>&1); then
            # shellcheck disable=SC2086
            exec $how -- "$BASH" "${BASH_SOURCE[0]}" --inside "$@"
        fi
    done
    skip "cannot make a network namespace: $why"
fi
shift

why=$(ip link add wire0 type veth peer name wire1 2>&1) || skip "cannot make a veth pair: $why"
ip link set lo up
ip address add 10.77.0.1/24 dev wire0
ip address add 10.77.0.2/24 dev wire1
ip link set wire0 up
ip link set wire1 up
# Multicast needs a route, and this namespace has no default route.
ip route add 224.0.0.0/4 dev wire0
exec "$@"
