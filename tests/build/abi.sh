#!/bin/sh
# SPDX-License-Identifier: MIT
# The types and functions of libattn.so are those of libattn.abi, or more functions: what a compiled program relies on. What
# libattn(3), STABILITY, allows beyond that (a field at the end of a struct with a size, an enumerator) is a decision:
# `make abi` writes the description anew, and the commit shows what has changed.
library="$ATTN_BUILDDIR/lib/.libs/libattn.so"
description="$ATTN_SRCDIR/tests/build/libattn.abi"
if [ "$1" = --update ]; then
    abidw --headers-dir "$ATTN_SRCDIR/lib/attn" --drop-private-types --exported-interfaces-only --drop-undefined-syms \
        --no-show-locs --no-comp-dir-path --no-corpus-path --no-elf-needed --no-parameter-names \
        --out-file "$description" "$library"
    exit
fi
skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ -e "$library" ] || skip "no shared library was built"
command -v abidiff >/dev/null 2>&1 || skip "there is no abidiff (abigail-tools)"
[ "$ATTN_SANITIZERS" = no ] || skip "sanitizers change the library"
readelf -h "$library" | grep -q 'Machine: .*X86-64' || skip "the description is that of x86-64"
readelf -S "$library" | grep -q debug_info || skip "the library has no debug information"
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
# What is inside plans and states is nobody's business.
printf '[suppress_type]\nname_regexp = ^attn_(plan|state)$\n' >"$folder/suppressions"
echo "1..1"
changes=$(abidiff --suppressions "$folder/suppressions" --exported-interfaces-only --no-added-syms --harmless \
    "$description" "$library" 2>&1)
status=$?
if [ $status -eq 0 ]; then
    echo "ok 1 - libattn.so fits programs that were compiled before"
else
    printf '%s\n' "$changes" | sed 's/^/# /'
    echo "not ok 1 - libattn.so fits programs that were compiled before"
fi
