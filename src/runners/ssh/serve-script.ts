import { pinnedRuntimes, runtimeFolder } from "../runtime/pinned.ts";
import { assignments, quotePath } from "./remote-script.ts";

/** Said by the script instead of the program when something is not in place. */
export const NEED = "need";

// The login's own profile gives the program, and what it starts, the PATH that the user knows; what that reads and prints is not ours.
const BODY = String.raw`
serve() {
  L=/bin/sh
  [ -x /bin/bash ] && L=/bin/bash
  cd "$HOME" 2>/dev/null || cd /
  exec 3<&0 4>&1
  setsid "$L" -lc 'exec "$0" "$@"' "$I/$F/bin/node" "$I/$B/agent.cjs" serve --base "$D" --shell $$ </dev/null >/dev/null &
  exec 3<&- 4>&- </dev/null >/dev/null
  trap 'exit 0' TERM
  wait $!
  exit $?
}
look() {
  I="$1"
  D=$(dirname "$I")
  [ -x "$I/$F/bin/node" ] && [ -f "$I/$B/agent.cjs" ]
}
case $(uname -m) in
x86_64|amd64) F=$X64 ;;
*) F=$ARM64 ;;
esac
`;

/** Others may make folders in /var/tmp as well. */
const CANDIDATES = String.raw`
for C in "$HOME/.sky/agent" "/var/tmp/sky-$(id -u)/agent"; do
  look "$C" && [ -O "$I" ] && [ -O "$D" ] && serve
done
`;

/**
 * Runs `agent.cjs serve` on the host, connected to the session, or says `NEED` when runtime or program are not there. `installDir` as
 * `installScript` takes it.
 */
export function serveScript(options: { readonly installDir: string | undefined; readonly bundleHash: string }): string {
  const { installDir, bundleHash } = options;
  const folders = { X64: runtimeFolder(pinnedRuntimes.x64), ARM64: runtimeFolder(pinnedRuntimes.arm64) };
  const search = installDir === undefined ? CANDIDATES : `look ${quotePath(installDir)} && serve`;
  return [assignments({ B: bundleHash, ...folders }), BODY, search, `echo ${NEED}`].join("\n");
}
