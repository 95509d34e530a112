import type { LaunchOutcome } from "../client/cluster-verbs.ts";
import type { SkyClient } from "../client/sky-client.ts";
import type { Context } from "./context.ts";

/** Asks for the cluster's credentials and makes `ssh <cluster>` work. */
export async function refreshSshConfig(ctx: Context, client: SkyClient, name: string): Promise<void> {
  const records = await client.status({ names: [name], includeCredentials: true, allUsers: true, signal: ctx.signal });
  const { updateSshConfig } = await import("../client/ssh-config.ts");
  updateSshConfig(ctx.home, records, { complete: false });
}

/** The same after a launch: our server sends the credentials with the result, others are asked for them. */
export async function saveSshAccess(ctx: Context, client: SkyClient, outcome: LaunchOutcome): Promise<void> {
  const { cluster, credentials } = outcome;
  if (cluster === null) return;
  if (credentials === undefined) {
    if (!client.session.isOurServer) await refreshSshConfig(ctx, client, cluster.cluster_name);
    return;
  }
  if ((cluster.stable_internal_external_ips ?? []).length === 0) return;
  const { writeSshTarget } = await import("../client/ssh-config.ts");
  writeSshTarget(ctx.home, { name: cluster.cluster_name, handle: cluster, credentials });
}
