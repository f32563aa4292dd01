#!/bin/sh
# SPDX-License-Identifier: MIT
# What libattn.so needs: the C library and its maths, and jansson for its loader alone. Without the loader the same objects
# link with libm, and nothing is left open.
library="$ATTN_BUILDDIR/lib/.libs/libattn.so"
skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ -e "$library" ] || skip "no shared library was built"
[ "$ATTN_SANITIZERS" = no ] || skip "sanitizers bring libraries of their own"
command -v readelf >/dev/null 2>&1 || skip "there is no readelf"
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
# What a library needs but libc, libm and the dynamic linker, on one line.
others() {
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | grep -v '^libc\.so\|^libm\.so\|^ld-linux' | tr '\n' ' '
}
echo "1..4"
needed=$(others "$library")
[ -z "$needed" ] || [ "$needed" = "libjansson.so.4 " ]
result $? "libattn.so needs libm and libc, and at most jansson: ${needed:-nothing else}"

objects=
for source in "$ATTN_SRCDIR"/lib/*.c "$ATTN_SRCDIR"/lib/kernels/*.c; do
    name=$(basename "$source" .c)
    case "$name" in json | load | model_file | model_json | no_load | safetensors) continue ;; esac
    for object in "$ATTN_BUILDDIR"/lib/.libs/*_la-"$name".o "$ATTN_BUILDDIR"/lib/kernels/.libs/*_la-"$name".o; do
        [ ! -e "$object" ] || objects="$objects $object"
    done
done
flags="-std=gnu11 -Wall -Wextra -Werror -I$ATTN_SRCDIR/lib"
# Many objects, one word each.
# shellcheck disable=SC2086
${CC:-cc} $flags -fPIC -shared -Wl,-z,defs -o "$folder/libattn.so" "$ATTN_SRCDIR/lib/no_load.c" $objects -lm 1>&2
result $? "without the loader all of it links with libm alone"
[ -z "$(others "$folder/libattn.so")" ]
result $? "the library without the loader needs nothing else"

cat >"$folder/load.c" <<'END'
#include <attn/attn.h>
#include <string.h>
int main(void)
{
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    int error = attn_plan_load(&plan, "/", NULL, &why);
    return error == ATTN_E_SUPPORT && plan == NULL && strstr(why.text, "without its loader") != NULL ? 0 : 1;
}
END
# shellcheck disable=SC2086
${CC:-cc} $flags -o "$folder/load" "$folder/load.c" "$folder/libattn.so" -Wl,-rpath,"$folder" 1>&2 && "$folder/load"
result $? "it says that it has no loader"
