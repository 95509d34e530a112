#!/bin/sh
# sudo of a host: asks root's shell (sudo-root.sh) to run the command, and waits for what comes of it.
# Options of sudo's own are passed over. The command has no input, and its output comes when it has ended.
readonly requests=/run/sudo-requests
while [ "${1#-}" != "$1" ]; do shift; done
[ "$(id -u)" = 0 ] && exec "$@"
[ -p "$requests" ] || { echo "sudo: nobody reads $requests" >&2; exit 1; }
asked=$(mktemp -d /tmp/sudo.XXXXXX) && mkfifo "$asked/code" || exit 1
for word in "$@"; do
  printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
done >"$asked/command"
echo "$asked" >"$requests"
read -r code <"$asked/code"
cat "$asked/out"
cat "$asked/err" >&2
rm -rf "$asked"
exit "$code"
