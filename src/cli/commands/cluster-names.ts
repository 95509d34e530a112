import type { SkyClient } from "../../client/sky-client.ts";
import type { ClusterRecord } from "../../client/wire-types.ts";
import { ClusterDoesNotExistError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";

/** `'a'`, or `'a', 'b'`: names as messages list them. */
export function quoteNames(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}

export function isGlob(name: string): boolean {
  return /[*?[]/.test(name);
}

/** Asks for the clusters that names or globs stand for. */
export async function fetchClusters(
  ctx: Context,
  client: SkyClient,
  names: readonly string[],
  options: { readonly allUsers: boolean },
): Promise<readonly ClusterRecord[]> {
  return await client.status({ names, allUsers: options.allUsers, includeHandle: false, signal: ctx.signal });
}

/** Names without a glob that no record answers to. */
export function missingNames(names: readonly string[], records: readonly ClusterRecord[]): readonly string[] {
  const found = new Set(records.map((record) => record.name));
  return names.filter((name) => !isGlob(name) && !found.has(name));
}

/** The error for explicit names that do not exist; the hint differs by command. */
export function notFound(names: readonly string[], hint = "see `sky status`"): ClusterDoesNotExistError {
  const message =
    names.length === 1 ? `Cluster '${names[0]}' does not exist.` : `Clusters ${quoteNames(names)} do not exist.`;
  return new ClusterDoesNotExistError(message, { hint });
}
