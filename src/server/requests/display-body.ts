/** Fields of a body that may be stored and shown in clear. Everything else (YAML, env_vars, config) may hold secrets. */
const SHOWN = new Set([
  "entrypoint",
  "using_remote_api_server",
  "file_mounts_blob_id",
  "cluster_name",
  "cluster_names",
  "cluster",
  "request_ids",
  "user_id",
  "job_id",
  "job_ids",
  "name",
  "workspace",
  "workspaces",
  "clouds",
  "refresh",
  "event",
  "event_type",
  "wait_for",
  "port",
]);

/** JSON text of a body for `sky api status`: flags and numbers, the fields above, and the command line without values of secrets. */
export function toDisplayBody(body: Readonly<Record<string, unknown>>): string {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(body)) {
    if (value === undefined) continue;
    if (typeof value === "boolean" || typeof value === "number" || SHOWN.has(key)) shown[key] = value;
  }
  if (typeof body["entrypoint_command"] === "string") {
    shown["entrypoint_command"] = redactCommandLine(body["entrypoint_command"]);
  }
  return JSON.stringify(shown);
}

// A word may be quoted in the style of shlex.join, with further quotes inside, so it ends at a space outside of quotes.
const WORD = String.raw`(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"])+`;
const SECRET_OPTION = new RegExp(`((?:^|\\s)--(?:env|secret|token|password)(?:=|\\s+))(${WORD})`, "g");

/** Replaces the values of `--env`, `--secret`, `--token` and `--password` in a command line. */
export function redactCommandLine(command: string): string {
  return command.replace(SECRET_OPTION, (match, option: string, word: string) => {
    const isPair = /--(?:env|secret)/.test(option);
    const name = /^['"]?([A-Za-z_][A-Za-z0-9_]*)=/.exec(word)?.[1];
    if (isPair && name !== undefined) return `${option}${name}=<redacted>`;
    // `--env NAME` takes the value from the caller's environment: nothing to hide.
    return isPair && /^\w+$/.test(word) ? match : `${option}<redacted>`;
  });
}
