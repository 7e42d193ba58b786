#!/usr/bin/env bash
# Moves the symbols of a program to the file PROGRAM.debug beside it.
#
#   scripts/split-symbols.sh target/release/meshwork
#
# The program contains the name and the checksum of that file. While both are in one folder, the
# trace of a panic with RUST_BACKTRACE=1 has functions, files and lines. Needs objcopy of binutils
# or LLVM; exits with 77 without it.
set -euo pipefail

program=${1:?usage: split-symbols.sh PROGRAM}
debug=$program.debug

for objcopy in objcopy llvm-objcopy; do
    command -v "$objcopy" >/dev/null && break
    objcopy=
done
if [ -z "$objcopy" ]; then
    echo "split-symbols.sh: objcopy is missing: install binutils" >&2
    exit 77
fi

# Replace both files at the end: after a failure the program is unchanged.
work=$(mktemp -d "$(dirname "$program")/.symbols.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Without this check, a program without symbols would replace the symbols beside it by an empty
# file: objcopy only warns.
"$objcopy" --dump-section ".debug_line=$work/line" "$program" "$work/copy" 2>/dev/null || true
if [ ! -s "$work/line" ]; then
    echo "split-symbols.sh: $program has no symbols: build it again" >&2
    exit 1
fi
name=$(basename "$program")
"$objcopy" --only-keep-debug "$program" "$work/$name.debug"
cp -p "$program" "$work/$name"
"$objcopy" --strip-all "$work/$name"
# Adds the name and the checksum of the file with the symbols.
(cd "$work" && "$objcopy" --add-gnu-debuglink="$name.debug" "$name")
mv "$work/$name.debug" "$debug"
mv "$work/$name" "$program"
