import { hostname, userInfo } from "node:os";
import type { Instance as Ec2Instance, SecurityGroup } from "@aws-sdk/client-ec2";
import type {
  Cloud,
  CloudCommand,
  CloudContext,
  ClusterRef,
  ClusterSpec,
  DiskCopy,
  InstanceId,
  Offer,
  SavedDisks,
} from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { Limits } from "../limits/limits.ts";
import { Quotas } from "../limits/quotas.ts";
import { toCoreError } from "./failures.ts";
import { chooseGroup, defaultGroupName, ownGroupName, rulesFor, type Machine } from "./group-choice.ts";
import { findLossReasons, findInstances, findNodes } from "./inventory.ts";
import { findClusters } from "./all-clusters.ts";
import { launch, type LaunchTools } from "./launch.ts";
import type { SshConnections } from "../../../runners/ssh/connections.ts";
import type { RuntimeSource } from "../../../runners/runtime/source.ts";
import { Prepaid } from "./prepaid.ts";
import { deletePlacementGroup, leftGroup } from "./placement.ts";
import { reachNode } from "./reach.ts";
import type { FetchText } from "./own-address.ts";
import { Places } from "./places.ts";
import { dropDisk, saveDisk, type CopyRegions } from "./saved-disks.ts";
import { changePowerOff, moveTo, stopNodes, terminateNodes, terminateWithGroups } from "./power.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { RegionOpener } from "./open-region.ts";
import type { Region } from "./region.ts";
import { findGroups } from "./security-groups.ts";
import { ssmDoorCommand } from "../ssm/command.ts";
import { SsmWay } from "../ssm/way.ts";
import { settingsOf } from "./settings.ts";

export interface AwsNodesOptions {
  readonly auth: AwsAuth;
  readonly clock: Clock;
  readonly fetchText: FetchText;
  readonly connections: SshConnections;
  readonly runtimes: RuntimeSource;
  /** Variables of the server. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the socket at which proxies ask for sessions. */
  readonly doorPath: string;
  /** The `sky` program, as ssh calls it. */
  readonly skyProgram: readonly string[];
  readonly random?: () => number;
  /** Where the server runs; this machine when absent. */
  readonly machine?: Machine;
}

type NodeMethods =
  | "run"
  | "limits"
  | "query"
  | "queryMany"
  | "terminate"
  | "stop"
  | "setPowerOff"
  | "explainLoss"
  | "savedDisks"
  | "findClusters"
  | "openPorts"
  | "runner";

/** The part of the cloud's port that has to do with nodes. */
export interface AwsNodes extends Required<Pick<Cloud, NodeMethods>> {
  /** The offers with what of their capacity is paid for, as far as the settings ask for it. */
  readonly withPrepaid: (offers: readonly Offer[], context: CloudContext) => Promise<readonly Offer[]>;
  /** What `sky aws ssm-proxy` asks. */
  readonly ssmDoor: CloudCommand;
}

interface Parts {
  readonly opener: RegionOpener;
  readonly tools: LaunchTools;
  readonly ssm: SsmWay;
  readonly limits: Limits;
  readonly prepaid: Prepaid;
}

function openParts(options: AwsNodesOptions): Parts {
  const { auth, clock, random = Math.random } = options;
  const machine = options.machine ?? { user: userInfo().username, hostname: hostname() };
  const opener = new RegionOpener(auth, clock, random);
  const places = new Places(clock, options.fetchText);
  const quotas = new Quotas(clock);
  const ssm = new SsmWay({ ...options, opener });
  return {
    opener,
    ssm,
    tools: { ssm, places, quotas, machine, untagged: new Set(), registry: options.runtimes.registry },
    limits: new Limits({ opener, quotas, places, clock }),
    prepaid: new Prepaid(opener, clock),
  };
}

export function createAwsNodes(options: AwsNodesOptions): AwsNodes {
  const { opener, tools, ssm, limits, prepaid } = openParts(options);
  const open = (cluster: ClusterRef, context: CloudContext): Promise<Region> => opener.open(cluster.region, context);
  const queryMany: AwsNodes["queryMany"] = async (clusters, context) => {
    const [first] = clusters;
    if (first === undefined) return [];
    const region = await open(first, context);
    const names = clusters.map((cluster) => cluster.nameOnCloud);
    const what = names.length === 1 ? first.nameOnCloud : `${names.length} clusters`;
    return named(region, `looking for ${what}`, () => findNodes(region, names));
  };
  return {
    savedDisks: savedDisksOf(opener),
    withPrepaid: (offers, context) => prepaid.mark(offers, context),
    limits: (question, context) => limits.of(question, context),
    run: async (spec, token, context) => {
      const region = await opener.open(spec.offer.region, context);
      await named(region, describeSpec(spec), () => launch(region, { spec, token, context }, tools));
    },
    query: async (cluster, context) => (await queryMany([cluster], context))[0] ?? [],
    queryMany,
    stop: async (cluster, context, only) => {
      const region = await open(cluster, context);
      await named(region, `stopping ${cluster.nameOnCloud}`, async () =>
        stopNodes(region, pick(await findInstances(region, [cluster.nameOnCloud]), only)),
      );
    },
    terminate: async (cluster, context, only) => {
      const region = await open(cluster, context);
      await named(region, `terminating ${cluster.nameOnCloud}`, () => terminate(region, cluster, { only, tools }));
    },
    runner: (instance, cluster, context) =>
      Promise.resolve(reachNode({ instance, cluster, context }, { ...options, ssm })),
    ssmDoor: ssmDoorCommand(ssm, opener),
    setPowerOff: async (cluster, onPowerOff, context) => {
      const region = await open(cluster, context);
      await named(region, `changing what happens when ${cluster.nameOnCloud} powers off`, async () =>
        changePowerOff(region, await findInstances(region, [cluster.nameOnCloud]), onPowerOff),
      );
    },
    findClusters: async (context) => {
      const home = await opener.open(undefined, context);
      return named(home, "looking for clusters in every region", () =>
        findClusters(home, (name) => opener.open(name, context)),
      );
    },
    explainLoss: async (cluster, context) => {
      const region = await open(cluster, context);
      return named(region, `looking why ${cluster.nameOnCloud} is gone`, async () =>
        (await findLossReasons(region, cluster.nameOnCloud)).at(0),
      );
    },
    openPorts: async (cluster, ports, context) => {
      const region = await open(cluster, context);
      await named(region, `opening ports of ${cluster.nameOnCloud}`, () =>
        openPorts(region, { cluster, ports, context }, tools),
      );
    },
  };
}

function savedDisksOf(opener: RegionOpener): SavedDisks {
  const regionsOf = async (source: ClusterRef, copy: DiskCopy, context: CloudContext): Promise<CopyRegions> => ({
    source: await opener.open(source.region, context),
    target: await opener.open(copy.region, context),
  });
  return {
    save: async (source, copy, context) => {
      const regions = await regionsOf(source, copy, context);
      const what = `saving the disk of ${source.nameOnCloud}`;
      return named(regions.source, what, () => saveDisk(regions, source, copy));
    },
    drop: async (source, copy, context) => {
      const regions = await regionsOf(source, copy, context);
      await named(regions.source, `removing ${copy.name}`, () => dropDisk(regions, copy));
    },
  };
}

async function named<T>(region: Region, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    region.signal.throwIfAborted();
    throw toCoreError(error, { region: region.name, what });
  }
}

function describeSpec({ offer, create, start }: ClusterSpec): string {
  const count = create.length + start.length;
  return `${count}x ${offer.instanceType}${offer.useSpot ? "[spot]" : ""} in ${offer.zone ?? offer.region}`;
}

function pick(nodes: readonly Ec2Instance[], only: readonly InstanceId[] | undefined): readonly Ec2Instance[] {
  return only === undefined ? nodes : nodes.filter(({ InstanceId = "" }) => only.includes(InstanceId));
}

async function terminate(
  region: Region,
  cluster: ClusterRef,
  { only, tools }: { readonly only: readonly InstanceId[] | undefined; readonly tools: LaunchTools },
): Promise<void> {
  const { nameOnCloud } = cluster;
  const names = [nameOnCloud];
  if (only !== undefined) {
    const all = await findInstances(region, names);
    const chosen = pick(all, only);
    await terminateNodes(region, chosen);
    const group =
      chosen.length < all.length || all.length === 0 ? undefined : await leftGroup(region, nameOnCloud, all);
    if (group !== undefined) await deletePlacementGroup(region, group);
    return;
  }
  const ownName = ownGroupName(nameOnCloud);
  const fallbackName = defaultGroupName(tools.machine);
  const [nodes, groups] = await Promise.all([
    findInstances(region, names),
    findGroups(region, [ownName, fallbackName]).catch((error: unknown): readonly SecurityGroup[] => {
      // A cluster must go down even where groups may not be looked at.
      if (error instanceof AwsDeniedError) return [];
      throw error;
    }),
  ]);
  const own = groups.filter((group) => group.GroupName === ownName);
  const fallbacks = groups.filter((group) => group.GroupName === fallbackName);
  if (own.length > 0) tools.places.forgetGroups(region);
  await terminateWithGroups(region, nodes, { own, fallbacks });
  const placement = await leftGroup(region, nameOnCloud, nodes);
  if (placement !== undefined) await deletePlacementGroup(region, placement);
}

interface OpenPorts {
  readonly cluster: ClusterRef;
  readonly ports: readonly string[];
  readonly context: CloudContext;
}

async function openPorts(region: Region, { cluster, ports, context }: OpenPorts, tools: LaunchTools): Promise<void> {
  const settings = settingsOf(cluster, context);
  const choice = chooseGroup(settings, { nameOnCloud: cluster.nameOnCloud, hasPorts: true }, tools.machine);
  if (!choice.isManaged) {
    region.say(
      `Skip opening ports [${ports.join(", ")}] for cluster ${cluster.clusterName}, as \`aws.security_group_name\` in \`~/.sky/config.yaml\` is specified as '${choice.name}'. Open them in that group.`,
    );
    return;
  }
  const [nodes, network] = await Promise.all([
    findInstances(region, [cluster.nameOnCloud]),
    tools.places.network(region, settings),
  ]);
  const vpcId = nodes[0]?.VpcId;
  if (vpcId === undefined) return;
  const rules = await rulesFor(settings, ports, { region, places: tools.places, network, vpcId });
  const wish = { vpcId, name: choice.name, rules, isManaged: true, usesEfa: false };
  await moveTo(region, nodes, await tools.places.group(region, wish));
}
