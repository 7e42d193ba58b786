#!/usr/bin/env bash
# Starts thirty nodes in three routed subnets without multicast; all know the first node. Measures
# how soon a node in another subnet finds and uses the only node with a certain handler, and how
# soon again after that node has restarted at another address.
#
#     scripts/find-across-subnets.sh PATH_OF_MESHWORK 4|6
#
# Prints the times. Exits with 1 if a time is above LIMIT seconds (5 by default), and with 77, like
# three-subnets.sh, on a machine without namespaces.
set -euo pipefail

if [[ ${1-} != --inside ]]; then
    (($# == 2)) || { echo "usage: find-across-subnets.sh PATH_OF_MESHWORK 4|6" >&2; exit 2; }
    exec "$(dirname "${BASH_SOURCE[0]}")/three-subnets.sh" "$BASH" "${BASH_SOURCE[0]}" --inside "$@"
fi
program=$2 family=$3 limit=${LIMIT:-5}
homes=$(mktemp -d)
pids=()
finish() {
    # Some processes may have ended already.
    kill -9 "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$homes"
}
trap finish EXIT

if [[ $family == 4 ]]; then
    listen=/ip4/0.0.0.0/tcp/4101 lan=10.0.0.0/8 hub=/ip4/10.1.0.1/tcp/4101
    before=10.3.0.30/24 after=10.3.0.77/24 router=10.3.0.254
else
    listen=/ip6/::/tcp/4101 lan=fd00::/8 hub=/ip6/fd00:0:0:1::1/tcp/4101
    before=fd00:0:0:3::30/64 after=fd00:0:0:3::77/64 router=fd00:0:0:3::fe
fi

node() { "$program" --home "$homes/$1" "${@:2}"; }
start() {
    ip netns exec "n$1" "$program" --home "$homes/$1" up --name "n$1" --no-mdns \
        --listen "$listen" --lan "$lan" "${@:2}" >/dev/null 2>"$homes/$1.log" </dev/null &
    pids+=($!)
}
until_up() {
    for _ in {1..600}; do
        node "$1" status --quiet >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$homes/$1.log" >&2
    exit 1
}
now() { date +%s%3N; }
ready() { node "$1" peers --json | grep -o '"state": *"ready"' | wc -l; }
# Searches until the peer is found, and runs a task there.
use() {
    local began found
    began=$(now)
    until found=$(node 5 peers find --handler debug/echo --quiet 2>/dev/null) && [[ $found == *"$1"* ]]; do
        (($(now) - began < 60000)) || { echo "find-across-subnets.sh: the peer was not found within 60 s" >&2; exit 1; }
        sleep 0.1
    done
    echo "$2: found after $(($(now) - began)) ms"
    [[ $(node 5 run debug/echo hello --on "$1" --queue-timeout 30s 2>/dev/null) == hello ]]
    local took=$(($(now) - began))
    echo "$2: used after $took ms"
    ((took <= limit * 1000)) || slow=1
}

slow=0
start 1
until_up 1
for machine in {2..29}; do start "$machine" --bootstrap "$hub"; done
for machine in {2..29}; do until_up "$machine"; done
began=$(now)
until (($(ready 1) == 28)); do sleep 0.2; done
echo "all 28 nodes are connected to the first one $(($(now) - began)) ms after the start of the last one"
sleep 10
for machine in 1 2 15 29; do echo "n$machine has $(ready "$machine") peers"; done

rare=(--bootstrap "$hub" --debug-handlers --accept debug=anyone)
start 30 "${rare[@]}"
until_up 30
id=$(node 30 status --json | grep -o '12D3KooW[1-9A-HJ-NP-Za-km-z]*' | head -1)
use "$id" "at its first address"
node 30 down >/dev/null 2>&1
while node 30 status --quiet >/dev/null 2>&1; do sleep 0.1; done
ip -n n30 address delete "$before" dev eth0
ip -n n30 address add "$after" dev eth0 nodad
ip -n n30 route replace default via "$router"
start 30 "${rare[@]}"
until_up 30
use "$id" "at another address"
exit "$slow"
