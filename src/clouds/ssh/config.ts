import type { CloudContext } from "../../core/ports/cloud.ts";
import type { Pool } from "./pools.ts";

/** The pools that the config lets the workspace use: `ssh.allowed_node_pools`, the workspace's own list before the global one. */
export function allowedPools(pools: readonly Pool[], { config, workspace }: CloudContext): readonly Pool[] {
  const own = record(record(record(record(config)["workspaces"])[workspace])["ssh"])["allowed_node_pools"];
  const list = own ?? record(record(config)["ssh"])["allowed_node_pools"];
  if (!Array.isArray(list) || list.includes("all")) return pools;
  return pools.filter((pool) => list.includes(pool.name));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
