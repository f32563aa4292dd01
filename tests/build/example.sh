#!/bin/sh
# SPDX-License-Identifier: MIT
# The example that opens attn.h, and that of libattn(3) for a model from memory, compile without a warning against the shared
# library, and run.
library="$ATTN_BUILDDIR/lib/.libs"
if ! [ -e "$library/libattn.so" ]; then
    echo "1..0 # SKIP no shared library was built"
    exit 0
fi
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
flags="-std=gnu11 -Wall -Wextra -Werror -I$ATTN_SRCDIR/lib"
[ "$ATTN_SANITIZERS" = yes ] && flags="$flags -fsanitize=address,undefined"
sed -n '/^ \*\/$/q; s/^ \*     //p' "$ATTN_SRCDIR/lib/attn/attn.h" >"$folder/example.c"
echo "1..3"
if ${CC:-cc} $flags -o "$folder/example" "$folder/example.c" "$library/libattn.so" -Wl,-rpath,"$library" 1>&2; then
    echo "ok 1 - the example of attn.h compiles"
else
    echo "not ok 1 - the example of attn.h compiles"
fi
"$folder/example" >"$folder/outputs"
status=$?
lines=$(grep -c '^[0-9]* -*[0-9.]*$' "$folder/outputs")
if [ $status -eq 0 ] && [ "$lines" -eq 100 ]; then
    echo "ok 2 - it answers each of its 100 frames"
else
    echo "# exit status $status, $lines outputs"
    echo "not ok 2 - it answers each of its 100 frames"
fi

{
    printf '#include <attn/attn.h>\n#include <stdio.h>\nint main(void)\n{\n    struct attn_plan *plan = NULL;\n'
    sed -n '/^    float ones/,/^\.Ed/ { /^\.Ed/q; s/\\e/\\/g; p; }' "$ATTN_SRCDIR/man/libattn.3"
    printf '    printf("%%u\\n", attn_output_dim(plan, ATTN_SCORES));\n    attn_plan_free(plan);\n    return 0;\n}\n'
} >"$folder/model.c"
if ${CC:-cc} $flags -o "$folder/model" "$folder/model.c" "$library/libattn.so" -Wl,-rpath,"$library" 1>&2 &&
    [ "$("$folder/model")" = 8 ]; then
    echo "ok 3 - the example of libattn(3) makes a model"
else
    echo "not ok 3 - the example of libattn(3) makes a model"
fi
