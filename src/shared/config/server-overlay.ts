/** A client's config on the server: which keys count, what is shown of secrets. */

import { InvalidConfigError } from "../errors.ts";
import { nodeOf } from "../yaml-node.ts";
import { dumpYaml } from "../yaml-dump.ts";
import { checkConfig, getConfigValue, isMap, setConfigValue, type Config } from "./config.ts";
import { mergeConfig } from "./merge.ts";

/** Settings of the server itself; a client's value is ignored. */
export const SERVER_ONLY_KEYS: readonly string[] = [
  "api_server",
  "allowed_clouds",
  "workspaces",
  "db",
  "daemons",
  "metrics",
  "jobs.controller.consolidation_mode",
  "serve.controller.consolidation_mode",
  "jobs.controller.controller_logs_gc_retention_hours",
  "jobs.controller.task_logs_gc_retention_hours",
  "slurm.cluster_configs",
  "slurm.submit_as_user",
  "slurm.username_map",
];

export interface OverlayResult {
  readonly config: Config;
  /** To be streamed to the user: keys whose client value differs from the server's. */
  readonly warning: string | undefined;
}

export interface OverlayOptions {
  /** More keys that administrators keep for themselves. */
  readonly serverOnly?: readonly string[];
}

/** The config of one request: the client's over the server's. @throws InvalidConfigError when the result is invalid */
export function overlayClientConfig(server: Config, client: Config, options: OverlayOptions = {}): OverlayResult {
  const { allowed, differing } = splitClientConfig(server, client, options.serverOnly ?? []);
  const warning =
    differing.length === 0
      ? undefined
      : `The following keys (${JSON.stringify(differing)}) have different values in the client SkyPilot config with the server ` +
        "and will be ignored. Remove these keys to disable this warning. If you want to specify it, please modify it on server side " +
        "or contact your administrator.";
  if (Object.keys(allowed).length === 0) return { config: server, warning };
  try {
    const config = mergeConfig(server, allowed);
    // The server's own file was checked when it was read, with keys that a request must not carry.
    checkConfig(nodeOf(setConfigValue(config, ["db"], undefined)), { file: "request", side: "client" });
    return { config, warning };
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    throw new InvalidConfigError(
      "Failed to override the SkyPilot config on API server with your local SkyPilot config:\n" +
        `=== SkyPilot config on API server ===\n${dumpYaml(redactConfig(server), { blankLines: false })}` +
        `=== Your local SkyPilot config ===\n${dumpYaml(redactConfig(allowed), { blankLines: false })}` +
        `Details: ${error.message}`,
      { cause: error },
    );
  }
}

function splitClientConfig(server: Config, client: Config, more: readonly string[]) {
  let allowed = client;
  const differing: string[] = [];
  for (const key of [...SERVER_ONLY_KEYS, ...more]) {
    const path = key.split(".");
    const value = getConfigValue(client, path);
    if (value === undefined) continue;
    if (key !== "db" && JSON.stringify(value) !== JSON.stringify(getConfigValue(server, path))) differing.push(key);
    allowed = withoutEmptyParents(setConfigValue(allowed, path, undefined), path);
  }
  return { allowed, differing };
}

function withoutEmptyParents(config: Config, path: readonly string[]): Config {
  let result = config;
  for (let depth = path.length - 1; depth > 0; depth -= 1) {
    const parent = getConfigValue(result, path.slice(0, depth));
    if (isMap(parent) && Object.keys(parent).length === 0)
      result = setConfigValue(result, path.slice(0, depth), undefined);
  }
  return result;
}

const REDACTED = "<redacted>";

/** For messages and logs: database address, tokens and registry passwords hidden. */
export function redactConfig(config: Config): Config {
  let result = config;
  for (const path of [["db"], ["api_server", "service_account_token"]])
    if (getConfigValue(result, path) !== undefined) result = setConfigValue(result, path, REDACTED);
  for (const section of ["jobs", "serve"]) {
    const path = [section, "controller", "resources"];
    const resources = getConfigValue(result, path);
    if (isMap(resources)) result = setConfigValue(result, path, redactResources(resources));
  }
  return result;
}

function redactResources(resources: Config): Config {
  const redacted: Record<string, unknown> = { ...resources };
  const login = redacted["_docker_login_config"];
  if (isMap(login) && "password" in login) redacted["_docker_login_config"] = { ...login, password: REDACTED };
  for (const key of ["any_of", "ordered"]) {
    const list = redacted[key];
    if (Array.isArray(list)) redacted[key] = list.map((item: unknown) => (isMap(item) ? redactResources(item) : item));
  }
  return redacted;
}
