#!/usr/bin/env bash
# Runs two commands, each in its own network namespace, with a wire (a veth pair) between them: A
# has 10.77.0.1/24, B has 10.77.0.2/24. Ends both after SECONDS.
#
#     scripts/two-namespaces.sh SECONDS COMMAND_A ARGUMENT… -- COMMAND_B ARGUMENT…
#
# Prints the number of bytes on the wire, with Ethernet headers, as `a_to_b BYTES` and
# `b_to_a BYTES`. The output of the commands goes to stderr. Exits with 1 if a command ended early,
# and with 77, like in-namespace.sh, if the machine does not permit the namespaces.
set -euo pipefail

usage() {
    echo "usage: two-namespaces.sh SECONDS COMMAND_A ARGUMENT… -- COMMAND_B ARGUMENT…" >&2
    exit 2
}

if [[ ${1-} != --inside ]]; then
    # The outer namespace is that of A, and B's is made inside it. So neither needs a name, which
    # could be in use, and both vanish however the script ends.
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
    # Some processes may have ended already.
    kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap finish EXIT

# Switches IPv6 off for new wires, because its announcements would be counted. The kernel may have
# no IPv6.
no_ipv6='switch=/proc/sys/net/ipv6/conf/default/disable_ipv6; [[ ! -e $switch ]] || echo 1 >$switch'
eval "$no_ipv6"
ip link delete wire0
ip link add wire0 type veth peer name wire1
ip address add 10.77.0.1/24 dev wire0
ip link set wire0 up
ip route add 224.0.0.0/4 dev wire0

# Waits for its end of the wire, then runs command B.
unshare --net -- "$BASH" -c "set -e; $no_ipv6"'
    ip link set lo up
    until ip link set wire1 up 2>/dev/null; do sleep 0.05; done
    ip address add 10.77.0.2/24 dev wire1
    ip route add 224.0.0.0/4 dev wire1
    exec "$@"' b "${b[@]}" >&2 &
pids+=($!)
# The process is in this namespace until it has run `unshare`.
here=$(readlink /proc/self/ns/net)
until [[ $(readlink "/proc/${pids[0]}/ns/net") != "$here" ]]; do sleep 0.01; done
ip link set wire1 netns "${pids[0]}"
"${a[@]}" >&2 &
pids+=($!)

sleep "$seconds"
for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "two-namespaces.sh: a command ended early" >&2; exit 1; }
done
# Not /sys: it shows the interfaces of the namespace in which it was mounted.
awk '$1 == "wire0:" { print "a_to_b", $10; print "b_to_a", $2 }' /proc/net/dev
