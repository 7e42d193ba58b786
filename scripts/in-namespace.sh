#!/usr/bin/env bash
# Runs a command in a network namespace of its own: `lo`, and a wire (a veth pair) with both ends
# inside, 10.77.0.1/24 and 10.77.0.2/24. All of it vanishes with the last process in it.
#
#     scripts/in-namespace.sh COMMAND ARGUMENT…
#
# mDNS needs this: it is not spoken on `lo`, and on a shared wire it finds strangers. Ends with the
# command's exit code, or with 77 where such a namespace cannot be made, after one line on stderr
# that says why.
set -euo pipefail

skip() {
    echo "in-namespace.sh: SKIPPED: $*" >&2
    exit 77
}

if [[ ${1-} != --inside ]]; then
    (($# > 0)) || { echo "usage: in-namespace.sh COMMAND ARGUMENT…" >&2; exit 2; }
    for tool in unshare ip; do
        command -v "$tool" >/dev/null || skip "there is no \`$tool\` command"
    done
    # Root in a user namespace of its own is enough, where the kernel permits one.
    for how in "unshare --net" "unshare --user --map-root-user --net"; do
        # A trial first, whose exit code cannot be mistaken for that of the command.
        # shellcheck disable=SC2086 # words, on purpose
        if why=$($how -- true 2>&1); then
            # shellcheck disable=SC2086
            exec $how -- "$BASH" "${BASH_SOURCE[0]}" --inside "$@"
        fi
    done
    skip "no network namespace: $why"
fi
shift

why=$(ip link add wire0 type veth peer name wire1 2>&1) || skip "no veth pair: $why"
ip link set lo up
ip address add 10.77.0.1/24 dev wire0
ip address add 10.77.0.2/24 dev wire1
ip link set wire0 up
ip link set wire1 up
# Multicast follows the routes, and there is no default one here.
ip route add 224.0.0.0/4 dev wire0
exec "$@"
