/** How the script ends where something that is mounted in the workdir would be written to, or removed. */
export const MOUNT_IN_THE_WAY = 75;

/**
 * Run on each node to bring `~/sky_workdir` to the wished state of a repository. The token reaches git through a helper that
 * reads the environment, so that it is in no command line and in no file. Its last line is the commit. What is mounted in the workdir may be
 * a bucket, whose content nothing here may touch.
 */
export const GIT_WORKDIR_SCRIPT = `set -eu
dest="$HOME/sky_workdir"
export GIT_TERMINAL_PROMPT=0
key=""
cleanup() { if [ -n "$key" ]; then rm -f "$key"; fi; }
trap cleanup EXIT
if [ -n "\${GIT_SSH_KEY:-}" ]; then
  key=$(umask 077 && mktemp)
  printf '%s\\n' "$GIT_SSH_KEY" > "$key"
  export GIT_SSH_COMMAND="ssh -i $key -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
fi
command -v git > /dev/null 2>&1 || { echo "git is not installed on the node" >&2; exit 127; }
run_git() {
  if [ -n "\${GIT_TOKEN:-}" ]; then
    git -c credential.helper= -c credential.helper='!f() { echo username=x-access-token; echo "password=$GIT_TOKEN"; }; f' "$@"
  else
    git "$@"
  fi
}
ref="\${GIT_BRANCH:-\${GIT_TAG:-}}"
mounts_inside() {
  [ -d "$dest" ] && [ -r /proc/self/mounts ] || return 0
  real=$(cd "$dest" && pwd -P)
  while read -r _ place _; do
    place=$(printf '%b' "$place")
    case "$place" in "$real"/*) printf '%s\\n' "\${place#"$real"/}" ;; esac
  done < /proc/self/mounts
}
in_the_way() {
  printf '%s\\n' "$1" >&2
  exit ${MOUNT_IN_THE_WAY}
}
switch_to() {
  mounts_inside | while IFS= read -r place; do
    [ -z "$(git -C "$dest" ls-tree "$1" -- "$place")" ] || in_the_way "The repository has files at $place, where something is mounted."
  done
  git -C "$dest" checkout --quiet --force --detach "$1"
}
if [ -d "$dest/.git" ] && [ "$(git -C "$dest" config --get remote.origin.url 2> /dev/null)" = "$GIT_URL" ]; then
  if [ -n "\${GIT_COMMIT_HASH:-}" ]; then
    run_git -C "$dest" fetch --quiet origin
    switch_to "$GIT_COMMIT_HASH"
  else
    run_git -C "$dest" fetch --quiet --depth 1 origin "\${ref:-HEAD}"
    switch_to FETCH_HEAD
  fi
else
  mounted=$(mounts_inside | head -n 1)
  [ -z "$mounted" ] || in_the_way "It would take the place of what is in ~/sky_workdir, where something is mounted at $mounted."
  rm -rf "$dest"
  if [ -n "\${GIT_COMMIT_HASH:-}" ]; then
    run_git clone --quiet -- "$GIT_URL" "$dest"
    git -C "$dest" checkout --quiet --force --detach "$GIT_COMMIT_HASH"
  elif [ -n "$ref" ]; then
    run_git clone --quiet --depth 1 --branch "$ref" -- "$GIT_URL" "$dest"
  else
    run_git clone --quiet --depth 1 -- "$GIT_URL" "$dest"
  fi
fi
git -C "$dest" rev-parse HEAD
`;

const NAMES = ["GIT_URL", "GIT_BRANCH", "GIT_TAG", "GIT_COMMIT_HASH", "GIT_TOKEN", "GIT_SSH_KEY"] as const;

/**
 * The script's environment: what the client resolved (in the task's envs and secrets), or the workdir's own ref, taken as a
 * commit when it looks like one.
 */
export function gitWorkdirEnvironment(
  workdir: { readonly url: string; readonly ref?: string | undefined },
  taskVariables: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = { GIT_URL: workdir.url };
  for (const name of NAMES) {
    const value = taskVariables[name];
    if (value !== undefined) environment[name] = value;
  }
  const isResolved = NAMES.slice(1, 4).some((name) => environment[name] !== undefined);
  if (!isResolved && workdir.ref !== undefined) {
    environment[/^[0-9a-f]{7,40}$/.test(workdir.ref) ? "GIT_COMMIT_HASH" : "GIT_BRANCH"] = workdir.ref;
  }
  return environment;
}
