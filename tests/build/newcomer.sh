#!/bin/sh
# SPDX-License-Identifier: MIT
# README's first two commands, ./bootstrap demo and then ./bootstrap check, in a copy of the tree that was never configured, where
# tools without Debian's libraries and a Python without modules come first on PATH. The packages that the tests need come
# between the two, as they do on a new machine: until then nothing finds numpy or OpenBLAS.
#
# Left out is what takes minutes. Nothing is compiled: attnd and attnctl are those of this build. Of the tests one is run.
skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
for tool in gcc make pkg-config dpkg-query; do
    [ -x "/usr/bin/$tool" ] || skip "./bootstrap is for Debian, and there is no /usr/bin/$tool"
done
PYTHON=/usr/bin/python3 "$ATTN_SRCDIR/etc/python" 1>&2 || skip "Debian's Python lacks modules"
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tree" "$folder/absent" "$folder/apt" "$folder/tools"

tar -C "$ATTN_SRCDIR" --warning=none --ignore-failed-read -cf - --exclude-vcs --exclude='*.o' --exclude='*.l[ao]' --exclude='*.a' \
    --exclude=.libs --exclude=.deps --exclude='*.log' --exclude='*.trs' --exclude=./aarch64 --exclude='./attnd-[0-9]*' \
    --exclude=./Makefile --exclude=./config.status --exclude=./config.h --exclude=./stamp-h1 --exclude=./libtool . |
    tar -C "$folder/tree" -xf - && chmod -R u+w "$folder/tree" || exit 99
for program in attnd attnctl; do
    rm -f "$folder/tree/$program"
    printf '#!/bin/sh\nexec "%s/%s" "$@"\n' "$ATTN_BUILDDIR" "$program" >"$folder/tree/$program"
    chmod +x "$folder/tree/$program"
done

# script NAME: a program whose lines are read here.
script() {
    { echo '#!/bin/sh' && cat; } >"$folder/$1" && chmod +x "$folder/$1"
}
# What is absent until apt brings it, and apt itself.
for module in numpy msgpack tap; do
    echo "raise ModuleNotFoundError(\"No module named '$module'\", name='$module')" >"$folder/absent/$module.py"
done
printf 'Name: openblas\nDescription: absent\nVersion: 0\nRequires: absent\n' >"$folder/absent/openblas.pc"
script apt/dpkg-query <<END
case "\$4" in
python3* | libopenblas-dev) [ ! -e "$folder/absent" ] || exit 1 ;;
esac
echo "install ok installed"
END
script apt/apt-get <<END
rm -r "$folder/absent"
END
script apt/sudo <<'END'
[ "$1" = -v ] || exec "$@"
END
# Another distribution's tools, in which nothing is found.
for tool in aclocal autoconf automake gcc ld make pkg-config; do
    echo "echo '$tool: nothing of Debian is to be found here' >&2; exit 1" | script "tools/$tool"
done
/usr/bin/python3 -m venv --without-pip "$folder/bare" 1>&2 || exit 99

count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        tail -n 60 "$folder/said" | sed 's/^/# /'
        echo "not ok $count - $2"
    fi
}
# newcomer PATH COMMAND ...: in the copy, with the environment of somebody new. What make is told leaves out what takes minutes.
newcomer() {
    path=$1
    shift
    (cd "$folder/tree" && env -i HOME="$folder" LANG=C.UTF-8 PATH="$path" PYTHONPATH="$folder/absent" PKG_CONFIG_PATH="$folder/absent" \
        MAKEFLAGS='PROGRAMS= LTLIBRARIES= check_PROGRAMS= check_LTLIBRARIES= TESTS=tests/system/manual_test.py' "$@") >"$folder/said" 2>&1
}
echo "1..6"
newcomer "$folder/apt:$folder/bare/bin:$folder/tools:/usr/bin:/bin" ./bootstrap demo && grep -q '  music  ' "$folder/said"
result $? "./bootstrap demo shows what is heard"
[ -e "$folder/absent" ]
result $? "it needs no package of the tests"
newcomer "$folder/apt:$folder/bare/bin:$folder/tools:/usr/bin:/bin" ./bootstrap check &&
    tail -n 1 "$folder/said" | grep -q '^[1-9][0-9]* passed, 0 failed, 0 skipped$'
result $? "./bootstrap check then passes"
if /usr/bin/pkg-config --exists openblas; then
    grep -q '^ *OpenBLAS  *yes' "$folder/tree/bootstrap.log"
    result $? "the build takes notice of packages that came after it was configured"
else
    result 0 "the build takes notice of packages that came after it was configured # SKIP there is no OpenBLAS"
fi
newcomer "$folder/bare/bin:/usr/bin:/bin" make check && grep -q '^# FAIL:  *0$' "$folder/said"
result $? "make check passes with a Python without modules first on PATH"
! newcomer "$folder/bare/bin:/usr/bin:/bin" make check PYTHON=python3 &&
    grep -qF "$folder/bare/bin/python3: no numpy, no msgpack" "$folder/said" && ! grep -q '^# TOTAL' "$folder/said"
result $? "make check PYTHON=python3 says what that Python lacks, before any test"
