#!/bin/sh
# SPDX-License-Identifier: MIT
# The examples that open libattnclient's headers compile without a warning against the shared library, and run; the
# library shows nothing but its own names.
library="$ATTN_BUILDDIR/clients/.libs"
if ! [ -e "$library/libattnclient.so" ]; then
    echo "1..0 # SKIP no shared library was built"
    exit 0
fi
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
flags="-std=gnu11 -Wall -Wextra -Werror -I$ATTN_SRCDIR/clients"
[ "$ATTN_SANITIZERS" = yes ] && flags="$flags -fsanitize=address,undefined"
count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
echo "1..5"
for name in client frontend; do
    sed -n '/^ \*\/$/q; s/^ \*     //p' "$ATTN_SRCDIR/clients/attnc/$name.h" >"$folder/$name.c"
    ${CC:-cc} $flags -o "$folder/$name" "$folder/$name.c" "$library/libattnclient.so" -Wl,-rpath,"$library" 1>&2
    result $? "the example of $name.h compiles"
done
# 16000 samples are 98 hops, and 48 frames of 4 every 2; silence is ln(0.01).
"$folder/frontend" >"$folder/lines"
[ "$(grep -c '^[0-9.]* s: first band -4.605170$' "$folder/lines")" -eq 48 ] &&
    [ "$(head -n 1 "$folder/lines")" = "0.0550 s: first band -4.605170" ]
result $? "the example of frontend.h prints its 48 frames"
if [ -e /run/attnd/attnd.sock ]; then
    result 0 "the example of client.h says why it cannot connect # SKIP a daemon listens on this machine"
else
    "$folder/client" 2>&1 | grep -q '/run/attnd/attnd.sock: cannot connect: No such file'
    result $? "the example of client.h says why it cannot connect"
fi
others=$(nm -D --defined-only "$library/libattnclient.so" | sed 's/.* //; s/@.*//' | grep -v '^attnc_\|^LIBATTNCLIENT_')
[ -z "$others" ]
result $? "only names with attnc_ are visible: $(echo $others | cut -c 1-200)"
