#!/bin/sh
# SPDX-License-Identifier: MIT
# libattn.so shows exactly the symbols of its map, and attn.h declares them all.
library="$ATTN_BUILDDIR/lib/.libs/libattn.so"
if ! [ -e "$library" ] || ! command -v nm >/dev/null 2>&1; then
    echo "1..0 # SKIP no shared library was built, or there is no nm"
    exit 0
fi
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
sed -n 's/^ *\(attn_[a-z0-9_]*\);$/\1/p' "$ATTN_SRCDIR/lib/libattn.map" | sort >"$folder/map"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$folder/shown"
sed -n 's/^ATTN_API .*[ *]\(attn_[a-z0-9_]*\)(.*/\1/p' "$ATTN_SRCDIR/lib/attn/attn.h" | sort >"$folder/declared"
echo "1..2"
if [ -s "$folder/map" ] && diff "$folder/map" "$folder/shown" 1>&2; then
    echo "ok 1 - libattn.so shows the symbols of its map and no other"
else
    echo "not ok 1 - libattn.so shows the symbols of its map and no other"
fi
if diff "$folder/map" "$folder/declared" 1>&2; then
    echo "ok 2 - attn.h declares the symbols of the map"
else
    echo "not ok 2 - attn.h declares the symbols of the map"
fi
