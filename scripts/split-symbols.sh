#!/usr/bin/env bash
# Takes the symbols out of a program and puts them into PROGRAM.debug beside it.
#
#   scripts/split-symbols.sh target/release/meshwork
#
# The program keeps the name of that file and its checksum. While both are in one folder a panic with
# RUST_BACKTRACE=1 names functions, files and lines.
# Needs objcopy of binutils or LLVM. Ends with 77 where there is none.
set -euo pipefail

program=${1:?usage: split-symbols.sh PROGRAM}
debug=$program.debug

for objcopy in objcopy llvm-objcopy; do
    command -v "$objcopy" >/dev/null && break
    objcopy=
done
if [ -z "$objcopy" ]; then
    echo "split-symbols: no objcopy here: install binutils" >&2
    exit 77
fi

# Both appear at once: a failure half way leaves the program as it was.
work=$(mktemp -d "$(dirname "$program")/.symbols.XXXXXX")
trap 'rm -rf "$work"' EXIT
# A program without symbols would replace those beside it by none. objcopy succeeds with a warning.
"$objcopy" --dump-section ".debug_line=$work/line" "$program" "$work/copy" 2>/dev/null || true
if [ ! -s "$work/line" ]; then
    echo "split-symbols: $program has no symbols: build it again" >&2
    exit 1
fi
name=$(basename "$program")
"$objcopy" --only-keep-debug "$program" "$work/$name.debug"
cp -p "$program" "$work/$name"
"$objcopy" --strip-all "$work/$name"
# The checksum of the file that stands beside it.
(cd "$work" && "$objcopy" --add-gnu-debuglink="$name.debug" "$name")
mv "$work/$name.debug" "$debug"
mv "$work/$name" "$program"
