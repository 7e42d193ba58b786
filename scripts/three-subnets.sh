#!/usr/bin/env bash
# Runs a command with 30 machines in three routed subnets. Each machine is a network namespace: n1 …
# n10 are in the first subnet, n11 … n20 in the second, n21 … n30 in the third, with a router
# between them.
#
#     scripts/three-subnets.sh COMMAND ARGUMENT…
#
# Machine K has the addresses 10.S.0.K/24 and fd00:0:0:S::K/64 in subnet S. The command uses the
# namespaces by name: `ip netns exec n7 …`. They vanish with the command. Exits with its exit code,
# or with 77 and one line with the reason on stderr if the machine does not permit such namespaces.
set -euo pipefail

skip() {
    echo "three-subnets.sh: SKIPPED: $*" >&2
    exit 77
}

if [[ ${1-} != --inside ]]; then
    (($# > 0)) || { echo "usage: three-subnets.sh COMMAND ARGUMENT…" >&2; exit 2; }
    for tool in unshare ip; do
        command -v "$tool" >/dev/null || skip "the \`$tool\` command is missing"
    done
    # Root in a new user namespace is enough, if the kernel permits one.
    for how in "unshare --net --mount" "unshare --user --map-root-user --net --mount"; do
        # shellcheck disable=SC2086 # split into words on purpose
        if why=$($how -- true 2>&1); then
            # shellcheck disable=SC2086
            exec $how -- "$BASH" "${BASH_SOURCE[0]}" --inside "$@"
        fi
    done
    skip "cannot make a network namespace: $why"
fi
shift

names=/run/netns
mkdir -p $names 2>/dev/null || skip "cannot make the folder $names"
why=$({ mount --make-rprivate / && mount -t tmpfs none $names; } 2>&1) || skip "cannot mount: $why"
why=$(ip netns add router 2>&1) || skip "cannot make a named namespace: $why"
{
    echo 1 > /proc/sys/net/ipv4/ip_forward || true
    ip netns exec router sh -c '
        echo 1 > /proc/sys/net/ipv4/ip_forward
        echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
} 2>/dev/null || skip "cannot switch on forwarding in a namespace"
for subnet in 1 2 3; do
    why=$(ip -n router link add "br$subnet" type bridge 2>&1) || skip "cannot make a bridge: $why"
    ip -n router address add "10.$subnet.0.254/24" dev "br$subnet"
    # `nodad`: duplicate address detection would take seconds.
    ip -n router address add "fd00:0:0:$subnet::fe/64" dev "br$subnet" nodad
    ip -n router link set "br$subnet" up
done
for machine in {1..30}; do
    subnet=$(((machine - 1) / 10 + 1))
    name=n$machine
    ip netns add "$name"
    ip -n "$name" link set lo up
    ip link add eth0 netns "$name" type veth peer name "p$machine" netns router
    ip -n router link set "p$machine" master "br$subnet" up
    ip -n "$name" address add "10.$subnet.0.$machine/24" dev eth0
    ip -n "$name" address add "fd00:0:0:$subnet::$machine/64" dev eth0 nodad
    ip -n "$name" link set eth0 up
    ip -n "$name" route add default via "10.$subnet.0.254"
    ip -n "$name" route add default via "fd00:0:0:$subnet::fe"
done
exec "$@"
