#!/bin/sh
# SPDX-License-Identifier: MIT
# etc/python, with a Python first on PATH that has no modules at all, as a new virtual environment has none: another Python is
# found, or each is named with what it lacks. Programs that are started with such a Python do the same.
finder="$ATTN_SRCDIR/etc/python"
full=$("$finder") || exit 99
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
unset PYTHON PYTHONPATH PYTHONHOME VIRTUAL_ENV ATTN_PYTHON_PROCESS
if ! "$full" -m venv --without-pip "$folder/bare" 1>&2; then
    echo "1..0 # SKIP $full makes no virtual environments"
    exit 0
fi
bare="$folder/bare/bin/python3"
mkdir "$folder/full" "$folder/here" "$folder/shadowed"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$full" >"$folder/full/python3"
chmod +x "$folder/full/python3"
PATH=$folder/bare/bin:$folder/full:$PATH

count=0
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        sed 's/^/# /' "$folder/said"
        echo "not ok $count - $2"
    fi
}
# says WORD ...: whether what was said has all of these words, and shows no traceback.
says() {
    ! grep -q Traceback "$folder/said" || return 1
    for word in "$@"; do grep -qF -e "$word" "$folder/said" || return 1; done
}
echo "1..12"

"$finder" >"$folder/said" 2>&1 && [ "$(cat "$folder/said")" = "$folder/full/python3" ]
result $? "the first Python on PATH that has the modules is found"
"$finder" -c 'import sys, numpy, msgpack, tap.runner; print(*sys.argv[1:])' two 'words more' >"$folder/said" 2>&1 &&
    [ "$(cat "$folder/said")" = "two words more" ]
result $? "it runs the program with its arguments, and says nothing more"
! PYTHON=$bare "$finder" >"$folder/said" 2>&1 &&
    says "PYTHON=$bare" "  $bare: no numpy, no msgpack, no tap" "apt install python3-numpy python3-msgpack python3-tap"
result $? "a Python that is named is taken, or what it lacks is said"
! PYTHON=python3 "$finder" >"$folder/said" 2>&1 && says "PYTHON=python3" "  $bare: no numpy"
result $? "one that is named without its folder is said with it"
! PYTHON=/nowhere/python3 "$finder" >"$folder/said" 2>&1 && says "/nowhere/python3: cannot be run"
result $? "one that does not exist is said not to run"
! "$finder" --with "numpy no_such_module" >"$folder/said" 2>&1 &&
    says "  $bare: no numpy, no no_such_module" ": no no_such_module" "python3-no_such_module" "PYTHON=/path/to/python3"
result $? "where no Python has the modules, each is named with what it lacks"
echo 'raise ImportError' >"$folder/here/numpy.py"
(cd "$folder/here" && "$finder") >"$folder/said" 2>&1
result $? "what is in the current folder does not matter"

# started PROGRAM MODULE: the program, started with the bare Python while none is to be had but that.
started() {
    ! PYTHON=$bare "$bare" "$ATTN_SRCDIR/$1" --help >"$folder/said" 2>&1 && says "$1" "  $bare: no " "no $2" "apt install" "python3-$2"
    result $? "$1 names the Python that lacks $2"
}
started etc/models/train.py torch
started etc/models/generate.py numpy
started tests/golden/make_encoder.py torch
"$bare" "$ATTN_SRCDIR/etc/models/generate.py" --help >"$folder/said" 2>&1 && says usage: "runs with $folder/full/python3"
result $? "a program finds a Python that has the modules, and names it"

cat >"$folder/shadowed/program.py" <<END
import os, sys
try:
    import numpy
except ImportError:
    os.execv("$finder", ["$finder", "--with", "numpy", *sys.argv])
END
cp "$folder/here/numpy.py" "$folder/shadowed"
! timeout 60 "$bare" "$folder/shadowed/program.py" >"$folder/said" 2>&1 && says "cannot import numpy"
result $? "a program whose folder shadows a module is not started for ever"
