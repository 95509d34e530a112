import { shellQuote } from "../../shared/shell-quote.ts";

/**
 * What the login shell on the host is asked to run: always the same words, which mean the same in sh, csh and fish, show nothing in the
 * host's process list and have no limit. The script itself comes as the first line of the input.
 */
export const REMOTE_COMMAND = `exec /bin/sh -c 'IFS= read -r s && eval "$(printf %s "$s" | base64 -d)"'`;

/** The line that makes REMOTE_COMMAND run `script`; after it the input belongs to the script. */
export function encodeScript(script: string): string {
  return `${Buffer.from(script).toString("base64")}\n`;
}

/** A POSIX sh script that says `marker` on both outputs, so that whatever the login printed before can be told apart. */
export function markedScript(marker: string, script: string): string {
  return `unset s\nprintf '\\n%s\\n' ${marker} >&2\nprintf '\\n%s\\n' ${marker}\n${script}\n`;
}

/** Assignments for the top of a script. */
export function assignments(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${shellQuote(value)}\n`)
    .join("");
}

/** A path for the shell: a leading `~/` means the HOME of the login. */
export function quotePath(path: string): string {
  if (path === "~") return '"$HOME"';
  return path.startsWith("~/") ? `"$HOME"/${shellQuote(path.slice(2))}` : shellQuote(path);
}
