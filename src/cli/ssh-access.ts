import type { LaunchOutcome } from "../client/cluster-verbs.ts";
import type { SkyClient } from "../client/sky-client.ts";
import type { Context } from "./context.ts";

/** Asks for the cluster's credentials and makes `ssh <cluster>` work. */
export async function refreshSshConfig(ctx: Context, client: SkyClient, name: string): Promise<void> {
  const records = await client.status({ names: [name], includeCredentials: true, allUsers: true, signal: ctx.signal });
  const { updateSshConfig } = await import("../client/ssh-config.ts");
  updateSshConfig(ctx.home, records, { complete: false });
}

/** Clusters on the server's own machine, which nobody logs in to. */
const WITHOUT_SSH = new Set<unknown>(["ssh/local", "local"]);

/** The same after a launch, whose result may have the credentials in it. */
export async function saveSshAccess(ctx: Context, client: SkyClient, outcome: LaunchOutcome): Promise<void> {
  const { cluster, credentials } = outcome;
  if (cluster === null) return;
  if (credentials === undefined) {
    const infra = cluster.launched_resources?.["infra"];
    if (!WITHOUT_SSH.has(infra)) await refreshSshConfig(ctx, client, cluster.cluster_name);
    return;
  }
  if ((cluster.stable_internal_external_ips ?? []).length === 0) return;
  const { writeSshTarget } = await import("../client/ssh-config.ts");
  writeSshTarget(ctx.home, { name: cluster.cluster_name, handle: cluster, credentials });
}
