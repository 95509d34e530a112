import { installScript } from "../../../runners/ssh/install-script.ts";

/** A machine has its network some seconds after its first program. */
const TRIES = 20;

/**
 * A script with which a new machine fetches the agent's runtime by itself, by its hash, while it still starts: the one that also runs
 * over SSH, which finds the runtime then. Without a way to the registry nothing comes of it, and SSH brings the runtime.
 */
export function prefetchScript(installDir: string, registry: string): string {
  // Without a word on its input it ends once the runtime is there.
  const install = installScript({ installDir, bundleHash: "-", registry });
  const attempt = `cat >"$S" <<'END_OF_SCRIPT'\n${install}\nEND_OF_SCRIPT`;
  return [
    "#!/bin/sh",
    "umask 077",
    "S=$(mktemp)",
    "trap 'rm -f \"$S\"' EXIT",
    attempt,
    `n=0; while [ $n -lt ${TRIES} ]; do`,
    '  sh "$S" </dev/null | grep -q "^need .* runtime" || exit 0',
    "  n=$((n + 1)); sleep 1",
    "done",
    "",
  ].join("\n");
}
