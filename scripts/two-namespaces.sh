#!/usr/bin/env bash
# Runs two commands, each in a network namespace of its own, with a wire (a veth pair) between
# them: A has 10.77.0.1/24, B has 10.77.0.2/24. After SECONDS both are ended.
#
#     scripts/two-namespaces.sh SECONDS COMMAND_A ARGUMENT… -- COMMAND_B ARGUMENT…
#
# Prints what crossed the wire meanwhile, `a_to_b BYTES` and `b_to_a BYTES`, Ethernet headers
# included. What the commands print goes to stderr. Exits with 1 if one of them ended early, and
# as in-namespace.sh with 77 where it cannot run.
set -euo pipefail

usage() {
    echo "usage: two-namespaces.sh SECONDS COMMAND_A ARGUMENT… -- COMMAND_B ARGUMENT…" >&2
    exit 2
}

if [[ ${1-} != --inside ]]; then
    # The outer namespace is A's. B's is made from within it, so that neither has a name that could
    # be taken, and nothing is left behind however this ends.
    exec "$(dirname "${BASH_SOURCE[0]}")/in-namespace.sh" "${BASH_SOURCE[0]}" --inside "$@"
fi
shift

seconds=${1-}
[[ $seconds =~ ^[0-9]+$ ]] || usage
shift
a=()
while (($# > 0)) && [[ $1 != -- ]]; do
    a+=("$1")
    shift
done
shift || usage
b=("$@")
((${#a[@]} > 0 && ${#b[@]} > 0)) || usage

pids=()
finish() {
    # Those that have ended are no longer there.
    kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap finish EXIT

# No IPv6 on a wire that is made from now on, for its own announcements would be counted. Where the
# kernel has none, there is nothing to switch off.
no_ipv6='switch=/proc/sys/net/ipv6/conf/default/disable_ipv6; [[ ! -e $switch ]] || echo 1 >$switch'
eval "$no_ipv6"
ip link delete wire0
ip link add wire0 type veth peer name wire1
ip address add 10.77.0.1/24 dev wire0
ip link set wire0 up
ip route add 224.0.0.0/4 dev wire0

# Waits for its end of the wire, and becomes B.
unshare --net -- "$BASH" -c "set -e; $no_ipv6"'
    ip link set lo up
    until ip link set wire1 up 2>/dev/null; do sleep 0.05; done
    ip address add 10.77.0.2/24 dev wire1
    ip route add 224.0.0.0/4 dev wire1
    exec "$@"' b "${b[@]}" >&2 &
pids+=($!)
# Until `unshare` has run, the process is still in this namespace.
here=$(readlink /proc/self/ns/net)
until [[ $(readlink "/proc/${pids[0]}/ns/net") != "$here" ]]; do sleep 0.01; done
ip link set wire1 netns "${pids[0]}"
"${a[@]}" >&2 &
pids+=($!)

sleep "$seconds"
for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "two-namespaces.sh: a command ended early" >&2; exit 1; }
done
# /sys would show the interfaces of the namespace that it was mounted in.
awk '$1 == "wire0:" { print "a_to_b", $10; print "b_to_a", $2 }' /proc/net/dev
