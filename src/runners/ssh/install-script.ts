import { pinnedRuntimes, runtimeFolder } from "../runtime/pinned.ts";
import { assignments, quotePath } from "./remote-script.ts";

export interface InstallScriptOptions {
  /**
   * Absolute, or below `~/`. Undefined: the first of `~/.sky/agent` and `/var/tmp/sky-<uid>/agent` from which programs can be started,
   * `$I` for what follows.
   */
  readonly installDir: string | undefined;
  readonly bundleHash: string;
  /** Base URL of the npm registry; undefined: the node does not try to fetch the runtime by itself. */
  readonly registry: string | undefined;
}

/** Seconds in which a node must get through to the registry, and in which it must have the package. */
const CONNECT_SECONDS = 3;
const FETCH_SECONDS = 120;

const FUNCTIONS = String.raw`
U=$(umask)
umask 077
say() { printf '%s\n' "$*"; }
fail() { say "fail $*" | tr '\n' ' '; say; exit 1; }
quote() { printf "'"; printf %s "$1" | sed "s/'/'\\\\''/g"; printf "'"; }
put() { E=$( { mkdir -p "$(dirname "$2")" && chmod "$3" "$1" && mv -f "$1" "$2"; } 2>&1 ) || fail "$E"; }
fetch() {
  command -v sha512sum >/dev/null 2>&1 || return 1
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --connect-timeout $CONNECT --max-time $FETCH -o "$T/tgz" "$1" 2>/dev/null || return 1
  elif command -v wget >/dev/null 2>&1; then
    timeout $FETCH wget -q -t 1 -T $CONNECT -O "$T/tgz" "$1" 2>/dev/null || return 1
  else
    return 1
  fi
  printf '%s  %s\n' "$2" "$T/tgz" | sha512sum -c >/dev/null 2>&1 || return 1
  tar -xzof "$T/tgz" -C "$T" package/bin/node 2>/dev/null || return 1
  rm -f "$T/tgz"
  mv -f "$T/package/bin/node" "$T/runtime"
}
take() {
  [ "$(wc -c <"$T/runtime" | tr -d ' ')" = "$SIZE" ] || fail "the runtime arrived with another size"
  chmod 755 "$T/runtime"
  V=$("$T/runtime" --version 2>&1) || fail "runtime $V"
  [ "$V" = "$VERSION" ] || fail "runtime $V"
  put "$T/runtime" "$N" 755
}
`;

const CHOOSE = String.raw`
usable() {
  mkdir -p "$1" 2>/dev/null && [ -O "$1" ] && [ -O "$(dirname "$1")" ] || return 1
  printf '#!/bin/sh\nexit 0\n' >"$1/.try-$$" 2>/dev/null && chmod 700 "$1/.try-$$" && "$1/.try-$$" 2>/dev/null
  X=$?
  rm -f "$1/.try-$$"
  return $X
}
I="$HOME/.sky/agent"
if ! usable "$I"; then
  I="/var/tmp/sky-$(id -u)/agent"
  usable "$I" || fail "neither $HOME nor /var/tmp can be used: permission denied, read-only or noexec"
fi
`;

const BODY = String.raw`
E=$(mkdir -p "$I" 2>&1) || fail "$E"
N="$I/$FOLDER/bin/node"
A="$I/$B/agent.cjs"
T="$I/.new-$$-$ID"
trap 'rm -rf "$T"' EXIT
trap 'exit 1' HUP INT TERM PIPE
E=$(mkdir "$T" 2>&1) || fail "$E"
NEED=
[ -f "$A" ] || NEED="$NEED bundle"
if [ ! -x "$N" ]; then
  if [ -n "$URL" ] && fetch "$URL" "$SHA512"; then take; else NEED="$NEED runtime"; fi
fi
CODECS=
for C in zstd gzip; do command -v $C >/dev/null 2>&1 && CODECS="$CODECS $C"; done
say "need $ARCH$NEED$CODECS"
while IFS= read -r GO && [ "$GO" = ping ]; do say pong; done
case $GO in
"go raw") E=$(tar -xof - -C "$T" 2>&1) ;;
"go zstd") E=$( { zstd -dcq | tar -xof - -C "$T"; } 2>&1 ) ;;
"go gzip") E=$( { gzip -dc | tar -xof - -C "$T"; } 2>&1 ) ;;
*) exit 1 ;;
esac || fail "$E"
if [ -f "$T/runtime" ]; then take; fi
if [ -f "$T/bundle" ]; then put "$T/bundle" "$A" 644; fi
`;

/**
 * Installs runtime and agent program by content hash: says what is lacking (`need <arch> …`, or `fail …`), answers each line
 * `ping`, and after a line `go raw`, `go zstd` or `go gzip` takes a tar archive, so compressed, with `bundle`, `runtime` and whatever else. Afterwards `$N` is the runtime, `$A` the program, `$T` a
 * folder with the rest, which goes when the script ends.
 */
export function installScript(options: InstallScriptOptions): string {
  const { installDir, bundleHash, registry } = options;
  const cases = Object.values(pinnedRuntimes).map((runtime) => {
    const values = {
      ARCH: runtime.arch,
      FOLDER: runtimeFolder(runtime),
      URL: registry === undefined ? "" : new URL(runtime.tarballPath, registry).href,
      SHA512: runtime.tarballSha512,
      SIZE: String(runtime.size),
      VERSION: runtime.version,
    };
    const machines = runtime.arch === "x64" ? "Linux/x86_64|Linux/amd64" : "Linux/aarch64|Linux/arm64";
    return `${machines})\n${assignments(values)};;`;
  });
  const fetchTimes = { CONNECT: String(CONNECT_SECONDS), FETCH: String(FETCH_SECONDS) };
  return [
    FUNCTIONS,
    assignments({ B: bundleHash, ...fetchTimes }),
    installDir === undefined ? CHOOSE : `I=${quotePath(installDir)}`,
    "ID=$(date +%s)",
    `case $(uname -s)/$(uname -m) in\n${cases.join("\n")}\n*) fail "platform $(uname -s) $(uname -m)" ;;\nesac`,
    BODY,
  ].join("\n");
}

/** Follows `installScript`: writes the agent's configuration, starts it, and leaves a command with which it is reached. */
export function startScript(root: string): string {
  return `R=${quotePath(root)}\n${START}`;
}

// The login's own profile gives the agent, and so every task, the PATH that the user knows.
const START = String.raw`
put "$T/node.json" "$R/node.json" 600
printf 'exec %s %s connect --root %s "$@"\n' "$(quote "$N")" "$(quote "$A")" "$(quote "$R")" >"$T/connect"
put "$T/connect" "$R/connect" 600
L=/bin/sh
[ -x /bin/bash ] && L=/bin/bash
cd "$HOME" 2>/dev/null || cd /
O="$R/agent.out"
( : >>"$O" ) 2>/dev/null || fail "$O cannot be written"
umask "$U"
setsid "$L" -lc 'exec "$0" "$@"' "$N" "$A" daemon --root "$R" </dev/null >>"$O" 2>&1 &
say ok
`;
