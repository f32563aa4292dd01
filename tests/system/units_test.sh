#!/bin/sh
# SPDX-License-Identifier: MIT
# systemd takes the units as they are installed, and finds nothing exposed that could be closed.
units="$ATTN_BUILDDIR/etc/systemd"
if ! command -v systemd-analyze >/dev/null 2>&1; then
    echo "1..0 # SKIP systemd-analyze is not installed"
    exit 0
fi
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT || exit 99
# verify wants a program that exists; what it is does not matter.
for unit in attnd.service attnd.socket; do
    sed -e "s|^\(Exec[SR][a-z]*\)=[^ ]*|\1=$ATTN_BUILDDIR/attnd|" -e "/^Documentation=/d" "$units/$unit" >"$folder/$unit"
done
result() {
    if [ "$2" -eq 0 ]; then echo "ok $1 - $3"; else echo "not ok $1 - $3"; sed 's/^/# /' "$folder/log"; fi
}
echo 1..5
SYSTEMD_UNIT_PATH="$folder:" systemd-analyze verify --man=no --recursive-errors=no "$folder/attnd.service" "$folder/attnd.socket" \
    >"$folder/log" 2>&1
status=$?
result 1 $status "the units are valid"
grep -q 'Unknown\|unknown' "$folder/log"
result 2 $((1 - $?)) "every setting is known"
# Half of it is PrivateUsers=, without which peers are told apart.
systemd-analyze security --offline=true --threshold=4 "$folder/attnd.service" >"$folder/log" 2>&1
result 3 $? "its exposure is at most 0.4"
grep '^PrivateUsers=\|^DynamicUser=' "$units/attnd.service" >"$folder/log"
result 4 $((1 - $?)) "it sees the users of its clients"
grep -q '^ExecReload=.*/attnd --reload \$MAINPID$' "$folder/attnd.service" && grep -q '^ExecPaths=.*/attnd ' "$units/attnd.service"
result 5 $? "what reloads it is what it may execute"
