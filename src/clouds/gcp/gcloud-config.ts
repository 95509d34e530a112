import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Where a request's Google credentials are looked for. */
export interface GoogleEnvironment {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What `gcloud config` has set. */
export interface GcloudConfig {
  readonly dir: string;
  /** Name of the active configuration. */
  readonly name: string;
  readonly account: string | undefined;
  readonly project: string | undefined;
}

/** Reads gcloud's own files; gcloud need not be installed. Variables beat them, as they do for gcloud. */
export async function readGcloudConfig({ home, env }: GoogleEnvironment): Promise<GcloudConfig> {
  const dir = env["CLOUDSDK_CONFIG"] ?? join(home, ".config", "gcloud");
  const named = env["CLOUDSDK_ACTIVE_CONFIG_NAME"] ?? (await readIfThere(join(dir, "active_config")))?.trim();
  const name = named === undefined || named === "" ? "default" : named;
  const core = parseCore((await readIfThere(join(dir, "configurations", `config_${name}`))) ?? "");
  return {
    dir,
    name,
    account: env["CLOUDSDK_CORE_ACCOUNT"] ?? core.get("account"),
    project: env["CLOUDSDK_CORE_PROJECT"] ?? core.get("project"),
  };
}

function parseCore(text: string): ReadonlyMap<string, string> {
  const core = new Map<string, string>();
  let section = "";
  for (const line of text.split(/\r?\n/u)) {
    section = /^\[(.+)\]\s*$/u.exec(line)?.[1] ?? section;
    const [, key, value] = /^(\w+)\s*=\s*(.*?)\s*$/u.exec(line) ?? [];
    if (section === "core" && key !== undefined && value !== undefined) core.set(key, value);
  }
  return core;
}

/** The text of a file; undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
