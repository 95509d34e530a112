import { readFileSync, statSync } from "node:fs";
import { InvalidConfigError } from "../shared/errors.ts";

export type Config = Readonly<Record<string, unknown>>;

/** Paths that only the server's own file decides. */
const SERVER_ONLY: readonly string[] = [
  "api_server",
  "allowed_clouds",
  "workspaces",
  "db",
  "daemons",
  "metrics",
  "rbac",
  "auth",
  "jobs.controller.consolidation_mode",
  "serve.controller.consolidation_mode",
  "jobs.controller.controller_logs_gc_retention_hours",
  "jobs.controller.task_logs_gc_retention_hours",
  "slurm.cluster_configs",
  "slurm.submit_as_user",
  "slurm.username_map",
];

export interface EffectiveConfig {
  readonly config: Config;
  /** Server-only keys that the client wanted otherwise. */
  readonly ignored: readonly string[];
}

/** Reads the server's config file and reads it again when it changed. A missing file is an empty config. */
export class ServerConfig {
  readonly #path: string;
  #stamp: string | undefined;
  #config: Config = {};

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws InvalidConfigError when the file cannot be read or is no mapping. */
  async load(): Promise<Config> {
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) return this.#config;
    this.#config = stamp === undefined ? {} : await readConfig(this.#path);
    this.#stamp = stamp;
    return this.#config;
  }
}

/** The server's config overlaid with the client's: maps merge, everything else is replaced. */
export function overlayConfig(server: Config, client: Config): EffectiveConfig {
  const ignored: string[] = [];
  let allowed = client;
  for (const path of SERVER_ONLY) {
    const keys = path.split(".");
    const wanted = valueAt(client, keys);
    if (wanted === undefined) continue;
    allowed = without(allowed, keys);
    if (path !== "db" && JSON.stringify(wanted) !== JSON.stringify(valueAt(server, keys))) ignored.push(path);
  }
  return { config: merge(server, allowed) as Config, ignored };
}

/** What the user is told about keys that were not taken over. */
export function ignoredKeysWarning(ignored: readonly string[]): string {
  return (
    `The following keys (${JSON.stringify(ignored)}) have different values in the client SkyPilot config with the server ` +
    "and will be ignored. Remove these keys to disable this warning. If you want to specify it, please modify it on server " +
    "side or contact your administrator."
  );
}

function merge(base: unknown, overlay: unknown): unknown {
  if (!isRecord(base) || !isRecord(overlay)) return overlay;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overlay)) {
    merged[key] = Object.hasOwn(merged, key) ? merge(merged[key], value) : value;
  }
  return merged;
}

function valueAt(config: unknown, keys: readonly string[]): unknown {
  let value = config;
  for (const key of keys) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function without(config: Config, keys: readonly string[]): Config {
  const [first, ...rest] = keys;
  if (first === undefined) return config;
  const copy: Record<string, unknown> = { ...config };
  const inner = copy[first];
  if (rest.length === 0) delete copy[first];
  else if (isRecord(inner)) copy[first] = without(inner, rest);
  return copy;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stampOf(path: string): string | undefined {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}:${size}:${ino}`;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw unreadable(path, error);
  }
}

async function readConfig(path: string): Promise<Config> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
  const { parseYaml } = await import("../shared/yaml.ts");
  const value = parseYaml(text, { file: path })?.value ?? {};
  if (!isRecord(value)) throw new InvalidConfigError(`The config file ${path} is not a mapping.`);
  return value;
}

function unreadable(path: string, cause: unknown): InvalidConfigError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new InvalidConfigError(`The config file ${path} cannot be read: ${reason}.`, {
    cause,
    hint: "Check its permissions, or name another file in SKYPILOT_GLOBAL_CONFIG.",
  });
}
