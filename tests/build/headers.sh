#!/bin/sh
# SPDX-License-Identifier: MIT
# Every header compiles alone.
cd "$ATTN_SRCDIR" || exit 99
count=0
flags="-std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I. -Ilib -Iclients -I$ATTN_BUILDDIR"
flags="$flags $(${PKG_CONFIG:-pkg-config} --cflags libuv msgpack sndfile samplerate kissfft-float jansson inih 2>/dev/null)"
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
# The bodies of the kernels are one source in pieces, and vectors are for one instruction set each.
for header in $(find lib protocol daemon clients -name '*.h' ! -path '*/kernels/body*' ! -path '*/kernels/vector_*' | sort); do
    printf '#include "%s"\n' "$header" | ${CC:-cc} $flags -x c - 1>&2
    result $? "$header compiles alone"
done
echo "1..$count"
