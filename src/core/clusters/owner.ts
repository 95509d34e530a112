import { updateCluster } from "../../db/queries/clusters.ts";
import { ClusterOwnerMismatchError } from "../../shared/errors.ts";
import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import type { OperationContext } from "../operation.ts";
import { cloudContext, type Cluster } from "./cluster.ts";

/**
 * Every change of a cluster passes here: it has to come from the cluster's workspace and from the identity that made it (user or
 * role, then account). Another user of the same account is let through with a warning and becomes the owner. Throws
 * ClusterOwnerMismatchError, and what the cloud throws when it cannot say who the caller is.
 */
export async function checkOwner(cluster: Cluster, context: OperationContext): Promise<void> {
  const { row } = cluster;
  if (row.workspace !== context.caller.workspace) {
    throw new ClusterOwnerMismatchError(
      `The cluster '${row.name}' is in workspace '${row.workspace}', but the active workspace is '${context.caller.workspace}'.`,
    );
  }
  if (/^(?:1|true)$/iu.test(context.clientEnv["SKYPILOT_SKIP_CLOUD_IDENTITY_CHECK"] ?? "")) return;
  const cloud = await context.clouds.load(row.cloud);
  const identity = await cloud.identity(cloudContext(context));
  if (identity === null) return;
  const stored = JSON.stringify(identity);
  const owner = row.owner === null ? undefined : (JSON.parse(row.owner) as readonly string[]);
  if (owner === undefined) {
    await updateCluster(context.db, row.cluster_hash, { owner: stored });
    return;
  }
  switch (compareIdentities(owner, identity)) {
    case "same":
      return;
    case "same-account":
      context.log.line(
        `The cluster was owned by ${identityText(owner)}, but a new identity ${identityText(identity)} is activated. We still allow the operation as the two identities are likely to have the same access to the cluster. Please be aware that this can cause unexpected cluster leakage if the two identities are not actually equivalent (e.g., belong to the same person).`,
      );
      await updateCluster(context.db, row.cluster_hash, { owner: stored });
      return;
    case "other":
      throw new ClusterOwnerMismatchError(
        `'${row.name}' (${cloud.displayName}) is owned by account ${identityText(owner)}, but the activated identity is ${identityText(identity)}.`,
        { hint: "Activate the credentials of the owner (on AWS: AWS_PROFILE, or aws.profile of the workspace)." },
      );
  }
}

/** Parts are compared pairwise, the most specific first; the name of a role's session after `:` does not count. */
export function compareIdentities(
  owner: readonly string[],
  identity: readonly string[],
): "same" | "same-account" | "other" {
  const index = owner.findIndex((part, at) => withoutSession(part) === withoutSession(identity[at]));
  if (index === 0) return "same";
  return index < 0 ? "other" : "same-account";
}

function withoutSession(part: string | undefined): string | undefined {
  return part?.split(":")[0];
}

/** As Python prints a list of texts, which is what users know from messages. */
export function identityText(identity: readonly string[]): string {
  return pyRepr(nodeOf(identity));
}
