import { join } from "node:path";
import type { LaunchOutcome } from "../client/cluster-verbs.ts";
import type { SkyClient } from "../client/sky-client.ts";
import type { ThroughServer } from "../client/ssh-config.ts";
import type { ClusterRecord } from "../client/wire-types.ts";
import { shellQuote } from "../shared/shell-quote.ts";
import type { Context } from "./context.ts";

/** Makes `ssh <cluster>` work for the clusters that are up, and takes away the others. `complete`: these are all of the user's. */
export async function updateSshAccess(
  ctx: Context,
  client: SkyClient,
  records: readonly ClusterRecord[],
  options: { readonly complete: boolean },
): Promise<void> {
  const { updateSshConfig } = await import("../client/ssh-config.ts");
  updateSshConfig(ctx.home, records, { ...options, throughServer: throughServer(ctx, client) });
}

/** Asks for the cluster's credentials and makes `ssh <cluster>` work. */
export async function refreshSshConfig(ctx: Context, client: SkyClient, name: string): Promise<void> {
  const records = await client.status({ names: [name], includeCredentials: true, allUsers: true, signal: ctx.signal });
  await updateSshAccess(ctx, client, records, { complete: false });
}

/** Clusters on the server's own machine, which nobody logs in to. */
const WITHOUT_SSH = new Set<unknown>(["ssh/local", "local"]);

/** The same after a launch or, with `isKnown`, after an exec, when it may be there already. */
export async function saveSshAccess(
  ctx: Context,
  client: SkyClient,
  { cluster }: LaunchOutcome,
  options: { readonly isKnown?: boolean } = {},
): Promise<void> {
  if (cluster === null || WITHOUT_SSH.has(cluster.launched_resources?.["infra"])) return;
  if (options.isKnown === true && client.session.isOurServer) {
    const { hasSshTarget } = await import("../client/ssh-config.ts");
    if (hasSshTarget(ctx.home, cluster.cluster_name)) return;
  }
  await refreshSshConfig(ctx, client, cluster.cluster_name);
}

/** The program that runs now, as ssh calls it later. */
function throughServer(ctx: Context, client: SkyClient): ThroughServer {
  const program = [process.execPath, join(ctx.packageDir, "../../bin/sky.cjs")];
  return {
    // What the server's machine reaches directly, another one need not reach at all.
    isNeeded: !client.endpoint.local && client.session.isOurServer,
    command: (cluster, node) =>
      [...program, "ssh-proxy", "--endpoint", client.endpoint.url, cluster, String(node)]
        .map(quoteWhenNeeded)
        .join(" "),
  };
}

function quoteWhenNeeded(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : shellQuote(word);
}
