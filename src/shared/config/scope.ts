/** Which scope of the config speaks for a place: workspace, then region or context, then cloud. */

import { getConfigValue, isMap, type Config } from "./config.ts";
import { mergeConfig } from "./merge.ts";

/** Where each cloud keeps the settings of its regions. */
const REGION_SECTIONS: Readonly<Record<string, string>> = {
  kubernetes: "context_configs",
  ssh: "context_configs",
  nebius: "region_configs",
  oci: "region_configs",
  slurm: "cluster_configs",
};

const DEFAULT_WORKSPACE = "default";

export interface RegionQuery {
  readonly cloud: string;
  readonly region?: string | undefined;
  /** The key below the cloud's section. */
  readonly path: readonly string[];
  /** The task's own block, merged over the config first. */
  readonly taskOverrides?: Config | undefined;
}

/** The most specific value wins outright: nothing of the wider scopes is merged into it. */
export function effectiveRegionConfig(config: Config, query: RegionQuery): unknown {
  const merged = query.taskOverrides === undefined ? config : mergeConfig(config, query.taskOverrides);
  return lookUp(merged, query);
}

/** The same, looking into the active workspace first. */
export function effectiveWorkspaceRegionConfig(config: Config, query: RegionQuery): unknown {
  const workspace = getConfigValue(config, ["workspaces", activeWorkspace(config)]);
  const own = isMap(workspace) ? lookUp(workspace, query) : undefined;
  return own ?? effectiveRegionConfig(config, query);
}

function lookUp(config: Config, { cloud, region, path }: RegionQuery): unknown {
  const section = REGION_SECTIONS[cloud];
  if (section !== undefined && region !== undefined) {
    const name = cloud === "ssh" ? region.replace(/^ssh-/, "") : region;
    const own = getConfigValue(config, [cloud, section, name, ...path]);
    if (own !== undefined) return own;
  }
  return getConfigValue(config, [cloud, ...path]);
}

/** The workspace that the config names; undefined when it leaves the choice to the user's preference on the server. */
export function configuredWorkspace(config: Config): string | undefined {
  const name = config["active_workspace"];
  return typeof name === "string" ? name : undefined;
}

export function activeWorkspace(config: Config): string {
  return configuredWorkspace(config) ?? DEFAULT_WORKSPACE;
}

/** The Kubernetes queue: `quota.queue` beats `kueue.local_queue_name` in each scope, narrow scopes first. */
export function effectiveQueueName(config: Config, context: string | undefined): string | undefined {
  const workspace = ["workspaces", activeWorkspace(config), "kubernetes"];
  const inContext = (base: readonly string[]): readonly (readonly string[])[] =>
    context === undefined ? [] : [[...base, "context_configs", context]];
  const scopes = [...inContext(workspace), workspace, ...inContext(["kubernetes"]), ["kubernetes"]];
  for (const scope of scopes)
    for (const key of [
      ["quota", "queue"],
      ["kueue", "local_queue_name"],
    ]) {
      const name = getConfigValue(config, [...scope, ...key]);
      if (typeof name === "string") return name;
    }
  return undefined;
}

/** The namespace of a context; undefined leaves it to the kubeconfig. */
export function effectiveNamespace(config: Config, context: string | undefined): string | undefined {
  const name = effectiveWorkspaceRegionConfig(config, { cloud: "kubernetes", region: context, path: ["namespace"] });
  return typeof name === "string" ? name : undefined;
}
