#!/bin/sh
# SPDX-License-Identifier: MIT
# What pkg-config says of the installed libraries: their own folders and names, and no flag of what they are made of. The
# packages of those need not be there, and with the flags the examples of the headers compile against what was installed.
if ! command -v pkg-config >/dev/null 2>&1; then
    echo "1..0 # SKIP there is no pkg-config"
    exit 0
fi
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
# The options of the make that runs this are not for the one here.
unset MAKEFLAGS MFLAGS MAKELEVEL
libraries=libattn
headers=install-attnincludeHEADERS
if [ -e "$ATTN_BUILDDIR/clients/libattnclient.pc" ]; then
    libraries="libattn libattnclient"
    headers="$headers install-attncincludeHEADERS"
fi
# shellcheck disable=SC2086
if ! ${MAKE:-make} -C "$ATTN_BUILDDIR" DESTDIR="$folder" install-pkgconfigDATA install-libLTLIBRARIES $headers \
    >"$folder/log" 2>&1; then
    sed 's/^/# /' "$folder/log"
    echo "Bail out! the libraries cannot be installed"
    exit 1
fi

# Nothing but what was just installed; what lies in a folder of the system is named, too.
found=$(dirname "$(find "$folder" -name libattn.pc | head -n 1)")
export PKG_CONFIG_LIBDIR="$found" PKG_CONFIG_PATH= PKG_CONFIG_SYSROOT_DIR="$folder"
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
asked() {
    # One blank between words, and none at the end.
    # shellcheck disable=SC2046
    echo $(pkg-config "$@" 2>&1)
}
# says WHAT IT-SAYS IT-SHOULD-SAY
says() {
    [ "$2" = "$3" ] || echo "# $2; it should be $3"
    [ "$2" = "$3" ]
    result $? "$1"
}
sanitizers=
[ "$ATTN_SANITIZERS" = no ] || sanitizers=-fsanitize=address,undefined
for library in $libraries; do
    name=${library#lib}
    include="$folder$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=includedir "$library")"
    lib="$folder$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir "$library")"
    says "--cflags $library is its own folder alone" "$(asked --cflags "$library")" "-I$include"
    says "--libs $library is the library alone" "$(asked --libs "$library")" "-L$lib -l$name"
    asked --static --libs "$library" | grep -q -- "-l$name .*-lm$"
    result $? "--static --libs $library has what it is made of: $(asked --static --libs "$library" | sed 's/.*-lattn/-lattn/')"

    header=attn/attn.h
    [ "$library" = libattn ] || header=attnc/client.h
    sed -n '/^ \*\/$/q; s/^ \*     //p' "$include/$header" >"$folder/example.c"
    # shellcheck disable=SC2046
    ${CC:-cc} $sanitizers -o "$folder/example" "$folder/example.c" $(pkg-config --cflags --libs "$library") 1>&2
    result $? "the example of $header compiles with the flags of $library"
    if [ -e "$lib/$library.a" ] && [ -e "$lib/$library.so" ]; then
        rm "$lib/$library".so*
        # shellcheck disable=SC2046
        ${CC:-cc} $sanitizers -o "$folder/example" "$folder/example.c" $(pkg-config --static --cflags --libs "$library") 1>&2
        result $? "it links with $library.a and the flags of --static"
    else
        result 0 "it links with $library.a and the flags of --static # SKIP one of its forms was not built"
    fi
done
echo "1..$count"
