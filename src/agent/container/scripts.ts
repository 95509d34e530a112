/** Scripts that run inside of containers. They use nothing but bash itself, since an image need not have any other program. */

/**
 * The container's first process: waits for ever without a child, and reaps what tasks leave behind. The pipe that it reads has
 * itself as writer. It ends at once when it is told to: process 1 has no default for TERM.
 */
export const IDLE = `trap "exit 0" TERM
exec 3<> <(:)
while :; do read -r -u 3; done`;

/** Says who runs in the image, and with which HOME. */
export const WHO = `printf '%s\\n' "$UID" "$HOME"`;

/** Runs a script file as on a machine without container: bash's two warnings about the missing terminal are dropped. */
export const RUN_SCRIPT = `exec bash -i "$1" </dev/null 2>/dev/null`;

/**
 * Ends every process that carries a marker in its environment, what descends from one or shares its session: TERM once (again for one
 * that still ignores it; the oldest process first, as a script must not see its children end before its trap runs), and KILL when $2
 * seconds are over. Ends when none is left.
 */
export const KILL_TREE = `marker=$1
deadline=$((SECONDS + $2))
exec 9<> <(:)
parent=() session=() state=() member=() termed=()
scan() {
  local dir pid stat value rest
  parent=() session=() state=()
  for dir in /proc/[0-9]*; do
    pid=\${dir#/proc/}
    [[ $pid = "$$" ]] && continue
    IFS= read -r stat 2>/dev/null <"$dir/stat" || continue
    rest=(\${stat##*) })
    state[$pid]=\${rest[0]} parent[$pid]=\${rest[1]} session[$pid]=\${rest[3]}
    [[ -n \${member[$pid]} ]] && continue
    while IFS= read -r -d '' value; do
      if [[ $value = "$marker" ]]; then member[$pid]=1; break; fi
    done 2>/dev/null <"$dir/environ"
  done
}
grow() {
  local pid held grew=1
  while ((grew)); do
    grew=0
    held=()
    for pid in "\${!member[@]}"; do [[ \${session[$pid]:-0} != 0 ]] && held[\${session[$pid]}]=1; done
    for pid in "\${!state[@]}"; do
      [[ -n \${member[$pid]} || \${parent[$pid]} = 0 && -z \${held[\${session[$pid]}]} || $pid = 1 ]] && continue
      if [[ -n \${member[\${parent[$pid]}]} || -n \${held[\${session[$pid]}]} ]]; then member[$pid]=1 grew=1; fi
    done
  done
}
ignores_term() {
  local name mask
  while read -r name mask; do
    [[ $name = SigIgn: ]] && return $((!(16#$mask >> 14 & 1)))
  done 2>/dev/null <"/proc/$1/status"
  return 1
}
while :; do
  scan
  grow
  left=0
  for pid in "\${!member[@]}"; do
    if [[ -z \${state[$pid]} || \${state[$pid]} = Z ]]; then unset "member[$pid]"; continue; fi
    left=1
    if ((SECONDS >= deadline)); then kill -KILL "$pid"
    elif [[ -z \${termed[$pid]} ]] && ! ignores_term "$pid"; then termed[$pid]=1; kill -TERM "$pid"
    fi
  done 2>/dev/null
  ((left)) || exit 0
  read -r -t 0.05 -u 9
done`;

/**
 * Makes files that lie in a mounted folder appear where the task file wants them. Arguments: `strict`, `merge` (files of the image stay
 * beside them) or `mount` (an empty folder of the image makes room), place and target, then the folders below the target that have links
 * of their own: how many of them are mounted buckets, these first, and the others. Nothing of a bucket is copied, nor anything onto
 * itself. Says which place is taken with exit code 3.
 */
export const LINK = `shopt -s dotglob nullglob
mode=$1 place=$2 target=$3 count=$4; shift 4
mounts=("\${@:1:count}") inner=("$@")
while read -r _ _ _ _ at _; do
  printf -v at %b "$at"
  [[ $at = "$target"/* ]] && mounts+=("$at") inner+=("$at")
done </proc/self/mountinfo
is_mount() {
  local one
  for one in "\${mounts[@]}"; do [[ $one = "$1" ]] && return; done
  return 1
}
has_inner() {
  local one
  for one in "\${inner[@]}"; do [[ $one = "$1"/* ]] && return; done
  return 1
}
alike() {
  local facts
  facts=$(stat -c '%a %u:%g' "$1") && chmod "\${facts% *}" "$2" && chown "\${facts#* }" "$2"
} 2>/dev/null
merge() {
  local from=$1 to=$2 one at
  local batch=()
  [[ -d $to ]] || mkdir "$to" || return 1
  alike "$from" "$to"
  for one in "$from"/*; do
    at=$to/\${one##*/}
    if is_mount "$one" || [[ $one -ef $at ]]; then continue; fi
    if [[ -d $one && ! -L $one ]] && has_inner "$one"; then
      merge "$one" "$at" || return 1
      continue
    fi
    batch+=("$one")
    ((\${#batch[@]} < 100)) && continue
    cp -a "\${batch[@]}" "$to/" || return 1
    batch=()
  done
  ((\${#batch[@]} == 0)) || cp -a "\${batch[@]}" "$to/"
}
up=$place down=$target
until up=\${up%/*} down=\${down%/*}; [[ -d \${up:-/} ]]; do :; done
# What is below a folder that has a link is there already: both paths end alike.
[[ \${up:-/} -ef $down ]] && exit 0
parent=\${place%/*}
[[ -d \${parent:-/} ]] || mkdir -p "$parent" || exit 1
[[ $mode != mount || -L $place || ! -d $place ]] || rmdir "$place" 2>/dev/null
if [[ -L $place || ! -e $place ]]; then
  ln -sfn "$target" "$place" || exit 1
elif [[ $mode != merge ]]; then
  printf '%s\\n' "$place"; exit 3
elif [[ ! -d $place || ! -d $target ]]; then
  cp -a "$target" "$place" || exit 1
elif has_inner "$target"; then
  merge "$target" "$place" || exit 1
else
  cp -a "$target/." "$place/" || exit 1
fi`;

/** Looks whether a bucket is mounted at $1, and may be looked into: exit code 3 and 4 when not. */
export const SEE = `found=3
while read -r _ _ _ _ place _; do
  [[ $(printf '%b' "$place") = "$1" ]] && found=0
done </proc/self/mountinfo
((found == 0)) || exit 3
cd "$1" 2>/dev/null || exit 4`;
