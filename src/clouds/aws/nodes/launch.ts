import type { CloudContext, ClusterSpec } from "../../../core/ports/cloud.ts";
import { RegionUnusableError } from "../../../shared/errors.ts";
import { efaInterfaces } from "./efa.ts";
import { divideOverReservations } from "./reservations.ts";
import { assertQuota } from "../limits/assert-quota.ts";
import type { Quotas } from "../limits/quotas.ts";
import { createNodes, type CreateWish, type UntaggedVolumes } from "./create.ts";
import { diskTierOf } from "../disk-tiers.ts";
import { classify } from "./failures.ts";
import { chooseGroup, rulesFor, type Machine } from "./group-choice.ts";
import { chooseSubnets, type NodeSubnet } from "./network.ts";
import { architectureOf } from "./image-families.ts";
import type { ImageWish } from "./images.ts";
import type { Region } from "./region.ts";
import type { Places } from "./places.ts";
import { deletePlacementGroup, ensurePlacementGroup, isOver, placementGroupName, whyApart } from "./placement.ts";
import { startNodes } from "./power.ts";
import { homeOf, installDirOf } from "./inventory.ts";
import { prefetchScript } from "./prefetch.ts";
import type { SsmWay } from "../ssm/way.ts";
import type { NodeForm } from "./run-request.ts";
import { readNodeSettings, type NodeSettings } from "./settings.ts";
import { renderUserData } from "./user-data.ts";

export interface LaunchTools {
  readonly places: Places;
  readonly quotas: Quotas;
  readonly machine: Machine;
  readonly untagged: UntaggedVolumes;
  /** From which new nodes fetch the agent's runtime by themselves. */
  readonly registry: string;
  readonly ssm: Pick<SsmWay, "check">;
}

interface Launch {
  readonly spec: ClusterSpec;
  readonly token: string;
  readonly context: CloudContext;
}

/** Starts and creates what the spec says. Throws what the port's `run` throws, in AWS's own error classes. */
export async function launch(region: Region, request: Launch, tools: LaunchTools): Promise<void> {
  const { spec, context } = request;
  const of = { clusterName: spec.clusterName, region: region.name };
  const overrides = spec.node.config;
  const settings = readNodeSettings(context, overrides === undefined ? of : { ...of, overrides });
  tools.ssm.check(settings);
  await startNodes(region, spec.nameOnCloud, spec.start);
  if (spec.create.length === 0) return;
  try {
    await create(region, { ...request, settings }, tools);
  } catch (error) {
    if (!isRefusalOfRegion(error)) throw error;
    // A network, group or image that is kept in memory may be gone: look once more.
    tools.places.forget(region);
    await create(region, { ...request, settings }, tools);
  }
}

/** What EC2 itself said of the region, not what was concluded from a look, and nothing was created. */
function isRefusalOfRegion(error: unknown): boolean {
  return error instanceof RegionUnusableError && error.isClean && classify(error.cause) === "region";
}

interface Create extends Launch {
  readonly settings: NodeSettings;
}

async function create(region: Region, request: Create, tools: LaunchTools): Promise<void> {
  const { spec, settings, token } = request;
  const { places, quotas, machine } = tools;
  const { offer } = spec;
  const choice = chooseGroup(settings, { nameOnCloud: spec.nameOnCloud, hasPorts: spec.ports.length > 0 }, machine);
  const [network, profile, image, efa] = await Promise.all([
    places.network(region, settings),
    places.profile(region, settings),
    places.image(region, imageWish(spec)),
    spec.node.networkTier === "best" ? efaInterfaces(region, offer.instanceType, settings) : 0,
    // Looked at now, so that it is known once the VPC is.
    places.groupsNamed(region, choice.name),
    // Capacity that is paid for has a quota of its own.
    settings.usesReservations && !offer.useSpot ? undefined : assertQuota(region, spec, quotas),
  ]);
  const subnets = chooseSubnets(network, settings, offer.zone);
  const form = { ...formOf(spec, settings, tools), image, profile: profile.profile, efaInterfaces: efa };
  const groupIn = async (subnet: NodeSubnet): Promise<string> => {
    const from = { region, places, network, vpcId: subnet.vpcId };
    const rules = await rulesFor(settings, choice.isOwn ? spec.ports : [], from);
    const wish = { vpcId: subnet.vpcId, name: choice.name, rules, isManaged: choice.isManaged, usesEfa: efa > 0 };
    return places.group(region, wish);
  };
  const zone = subnets[0]?.zone ?? "";
  const nodes = { instanceType: offer.instanceType, zone, indices: spec.create };
  const batches = await divideOverReservations(region, nodes, offer.useSpot ? [] : settings.reservationIds);
  const { enforcesVolumeTags } = settings;
  const wish = { form, batches, subnets, groupIn, token, enforcesVolumeTags, isProfileNew: profile.isNew };
  if (!isPlaced(spec, settings, efa)) return createNodes(region, wish, tools.untagged);
  await createPlaced(region, { wish, name: placementGroupName(spec.nameOnCloud) }, tools.untagged);
}

/** What talks by EFA has to be close together. Capacity that is paid for is where it is, and has groups of its own. */
function isPlaced({ numNodes, offer }: ClusterSpec, settings: NodeSettings, efa: number): boolean {
  return efa > 0 && numNodes > 1 && (offer.useSpot || !settings.usesReservations);
}

/** Creates the nodes close together, or apart where they cannot be. A launch that fails leaves no group behind. */
async function createPlaced(
  region: Region,
  { wish, name }: { readonly wish: CreateWish; readonly name: string },
  untagged: UntaggedVolumes,
): Promise<void> {
  if (!(await ensurePlacementGroup(region, name))) return createNodes(region, wish, untagged);
  try {
    await createNodes(region, { ...wish, form: { ...wish.form, placementGroup: name } }, untagged);
  } catch (error) {
    region.signal.throwIfAborted();
    if (isOver(error)) await deletePlacementGroup(region, name, { isQuiet: true });
    const why = whyApart(error, wish.subnets[0]?.zone ?? "");
    if (why === undefined) throw error;
    region.say(`The nodes are not placed close together: ${why}.`);
    await createNodes(region, wish, untagged);
  }
}

function imageWish({ offer, perNode, node }: ClusterSpec): ImageWish {
  const accelerators = Object.keys(perNode.accelerators);
  return { architecture: architectureOf(offer), accelerators, imageId: node.imageId };
}

/** What of the form needs no look at AWS. */
function formOf(
  spec: ClusterSpec,
  settings: NodeSettings,
  { registry }: LaunchTools,
): Omit<NodeForm, "image" | "profile" | "efaInterfaces"> {
  const { node, offer } = spec;
  const { sshUser, runCommands } = settings;
  const prefetch = prefetchScript(installDirOf(sshUser), registry);
  return {
    instanceType: offer.instanceType,
    disk: { sizeGib: node.diskGib, tier: diskTierOf(node.diskTier), isEncrypted: settings.isDiskEncrypted },
    userData: renderUserData({
      sshUser,
      home: homeOf(sshUser),
      nameOnCloud: spec.nameOnCloud,
      publicKeys: node.publicKeys(),
      runCommands,
      prefetch,
    }),
    useSpot: offer.useSpot,
    isInternal: settings.isInternal,
    onPowerOff: node.onPowerOff,
    tags: tagsOf(spec, settings),
  };
}

function tagsOf(spec: ClusterSpec, settings: NodeSettings): NodeForm["tags"] {
  const { node } = spec;
  return {
    clusterName: spec.clusterName,
    nameOnCloud: spec.nameOnCloud,
    userName: node.userName,
    sshUser: settings.sshUser,
    via: settings.usesSsm ? "ssm" : "ssh",
    perNode: spec.perNode,
    labels: { ...settings.labels, ...spec.labels },
    origin: {
      user: node.userHash,
      workspace: node.workspace,
      nodes: String(spec.numNodes),
      hash: node.clusterHash,
    },
  };
}
