import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ClientConfig } from "../client/sky-client.ts";
import { readVariable, type VariableName } from "../platform/env.ts";
import { expandHome, skyPaths } from "../platform/paths.ts";
import { MissingFileError } from "../shared/errors.ts";
import type { ConfigOverrides, Machine } from "./context.ts";

type Config = Readonly<Record<string, unknown>>;
type ConfigMachine = Pick<Machine, "env" | "cwd" | "home" | "err">;

interface Layer {
  readonly path: string;
  readonly text: string;
}

/**
 * Merges the user's config, the project's and the command line's. Without any of them the YAML reader is not even loaded. Throws
 * InvalidConfigError with file, line and column, and UsageError for `--config`.
 */
export async function loadClientConfig(machine: ConfigMachine, overrides: ConfigOverrides): Promise<ClientConfig> {
  const user = readLayer(machine, "SKYPILOT_GLOBAL_CONFIG", skyPaths(machine.home).config);
  const project = readLayer(machine, "SKYPILOT_PROJECT_CONFIG", resolve(machine.cwd, ".sky.yaml"));
  const paths = [user?.path ?? null, project?.path ?? null];
  const hasFlags = (overrides.config ?? []).length > 0 || overrides.workspace !== undefined;
  if (user === undefined && project === undefined && !hasFlags) return { value: {}, paths };
  const [{ parseConfig }, { resolveConfig }] = await Promise.all([
    import("../shared/config/config.ts"),
    import("../shared/config/merge.ts"),
  ]);
  const parse = (layer: Layer | undefined): Config | undefined =>
    layer === undefined
      ? undefined
      : parseConfig(layer.text, { file: layer.path, warn: (message) => void machine.err.write(`${message}\n`) });
  const flags = await loadConfigOverrides(machine, overrides);
  return { value: resolveConfig({ user: parse(user), project: parse(project), flags }), paths };
}

/** Reads the `--config` and `--workspace` values alone. */
export async function loadConfigOverrides(
  machine: Pick<Machine, "cwd" | "home">,
  overrides: ConfigOverrides,
): Promise<Config> {
  const values = overrides.config ?? [];
  const workspace = overrides.workspace === undefined ? {} : { active_workspace: overrides.workspace };
  if (values.length === 0) return workspace;
  const { parseConfigOverrides } = await import("../shared/config/cli-overrides.ts");
  const readFile = (path: string): string | undefined =>
    readIfThere(resolve(machine.cwd, expandHome(path, machine.home)));
  return { ...parseConfigOverrides(values, { readFile }), ...workspace };
}

/** A path of the environment has to exist; the usual one may be missing. */
function readLayer(machine: ConfigMachine, name: VariableName, usual: string): Layer | undefined {
  const given = readVariable(machine.env, name);
  const path = given === undefined ? usual : resolve(machine.cwd, expandHome(given, machine.home));
  const text = readIfThere(path);
  if (text !== undefined) return { path, text };
  if (given === undefined) return undefined;
  throw new MissingFileError(`Config file specified by env var ${name} ('${given}') does not exist.`, {
    hint: `check the path, or unset the variable: unset ${name}`,
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
