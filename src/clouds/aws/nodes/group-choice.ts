import { createHash } from "node:crypto";
import type { NetworkFacts } from "../preflight/network.ts";
import type { GroupRules } from "./group-rules.ts";
import type { Places } from "./places.ts";
import type { Region } from "./region.ts";
import type { NodeSettings } from "./settings.ts";

/** The machine that runs the server: its clusters share one security group. */
export interface Machine {
  readonly user: string;
  readonly hostname: string;
}

export interface GroupChoice {
  readonly name: string;
  /** Ours to change; a group that the user named is not. */
  readonly isManaged: boolean;
  /** Made for this cluster alone, and deleted with it. */
  readonly isOwn: boolean;
}

/** `sky-sg-root-cd34` */
export function defaultGroupName(machine: Machine): string {
  const digest = createHash("md5").update(machine.hostname).digest("hex");
  return `sky-sg-${machine.user}-${digest.slice(-4)}`;
}

/** Its name holds the owner's hash, so that clusters of the same name keep apart. */
export function ownGroupName(nameOnCloud: string): string {
  return `sky-sg-${nameOnCloud}`;
}

/** Which group the nodes of a cluster belong in. */
export function chooseGroup(
  settings: Pick<NodeSettings, "securityGroupName">,
  cluster: { readonly nameOnCloud: string; readonly hasPorts: boolean },
  machine: Machine,
): GroupChoice {
  const named = settings.securityGroupName;
  if (named !== undefined) return { name: named, isManaged: false, isOwn: false };
  if (cluster.hasPorts) return { name: ownGroupName(cluster.nameOnCloud), isManaged: true, isOwn: true };
  return { name: defaultGroupName(machine), isManaged: true, isOwn: false };
}

/**
 * Who may reach the nodes. SSH: nobody when Session Manager carries it; else the blocks that the settings name; else the VPC itself
 * when the nodes have no public address; else this machine.
 */
export async function rulesFor(
  settings: NodeSettings,
  ports: readonly string[],
  from: { readonly region: Region; readonly places: Places; readonly network: NetworkFacts; readonly vpcId: string },
): Promise<GroupRules> {
  return { sshCidrs: await sshCidrs(settings, from), ports };
}

async function sshCidrs(
  settings: NodeSettings,
  from: { readonly region: Region; readonly places: Places; readonly network: NetworkFacts; readonly vpcId: string },
): Promise<readonly string[]> {
  if (settings.sshAllowedCidrs !== undefined) return settings.sshAllowedCidrs;
  if (settings.usesSsm) return [];
  if (!settings.isInternal) return [await from.places.ownCidr(from.region)];
  const vpc = from.network.vpcs.find((each) => each.VpcId === from.vpcId);
  return vpc?.CidrBlock === undefined ? [] : [vpc.CidrBlock];
}
