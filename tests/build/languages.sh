#!/bin/sh
# SPDX-License-Identifier: MIT
# The installed headers alone, and the examples in them, in every language that a program may be written in: C99 to C17 and
# C++11 to C++17, with each compiler that is there and without a warning.
cd "$ATTN_SRCDIR" || exit 99
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
for path in lib/attn/*.h clients/attnc/*.h; do
    header=${path#*/}
    name=$(echo "$header" | tr / _)
    # A translation unit has to hold something.
    printf '#include <%s>\nextern int %s_holds_this;\n' "$header" "${name%.h}" >"$folder/alone_$name"
    if grep -q '^ \*     int main' "$path"; then
        sed -n '/^ \*\/$/q; s/^ \*     //p' "$path" >"$folder/example_of_$name"
    fi
done
# The example of attnc_attach is a piece of a program.
{
    cat <<'END'
#include <attnc/client.h>
#include <string.h>
int go_on(struct attnc_client *client, struct attnc_stream *stream, const float *const *frames, uint64_t n_frames,
          void (*on_output)(void *ctx, const struct attnc_output *output));
int go_on(struct attnc_client *client, struct attnc_stream *stream, const float *const *frames, uint64_t n_frames,
          void (*on_output)(void *ctx, const struct attnc_output *output))
{
    struct attnc_connect_options connect;
    struct attnc_error error;
    int result;
    memset(&connect, 0, sizeof(connect));
    connect.size = sizeof(connect);
END
    sed -n '/^ \*     struct attnc_stream_info was/,/^ \*\/$/s/^ \*     //p' clients/attnc/client.h
    printf 'return result;\n}\n'
} >"$folder/example_of_attnc_attach.h"
for compilers in gcc:g++ clang:clang++; do
    for standard in c99 c11 c17 c++11 c++17; do
        case $standard in
        c++*) compiler=${compilers#*:} language=c++ ;;
        *) compiler=${compilers%:*} language=c ;;
        esac
        for source in "$folder"/*.h; do
            says="$(basename "$source" .h) compiles as $standard with $compiler"
            if ! command -v "$compiler" >/dev/null 2>&1; then
                result 0 "$says # SKIP it is not installed"
                continue
            fi
            "$compiler" -x $language -std=$standard -Wall -Wextra -Wpedantic -Werror -Ilib -Iclients -fsyntax-only \
                "$source" 1>&2
            result $? "$says"
        done
    done
done
echo "1..$count"
