import {
  paginateDescribeRouteTables,
  paginateDescribeSubnets,
  paginateDescribeVpcEndpoints,
  paginateDescribeVpcs,
} from "@aws-sdk/client-ec2";
import { NoCapacityError, RegionUnusableError } from "../../../shared/errors.ts";
import { inspectNetwork, type NetworkFacts, type NetworkReport } from "../preflight/network.ts";
import { collect, withEc2, type Region } from "./region.ts";
import type { NodeSettings } from "./settings.ts";

export interface NodeSubnet {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: string;
  readonly zoneId: string;
}

type NetworkSettings = Pick<NodeSettings, "vpcNames" | "subnetNames" | "isInternal" | "usesSsm">;

/** Reads what the region has of networks, at once. */
export async function readNetwork(region: Region, settings: NetworkSettings): Promise<NetworkFacts> {
  const vpcFilters =
    settings.vpcNames.length > 0
      ? [{ Name: "tag:Name", Values: [...settings.vpcNames] }]
      : // A subnet's name leads to its VPC, which may be any.
        settings.subnetNames.length > 0
        ? []
        : [{ Name: "isDefault", Values: ["true"] }];
  const [vpcs, subnets, routeTables, endpoints] = await Promise.all([
    withEc2(region, (client, http) =>
      collect(paginateDescribeVpcs({ client }, { Filters: vpcFilters }, http), (page) => page.Vpcs),
    ),
    withEc2(region, (client, http) => collect(paginateDescribeSubnets({ client }, {}, http), (page) => page.Subnets)),
    withEc2(region, (client, http) =>
      collect(paginateDescribeRouteTables({ client }, {}, http), (page) => page.RouteTables),
    ),
    settings.isInternal && settings.usesSsm
      ? withEc2(region, (client, http) =>
          collect(paginateDescribeVpcEndpoints({ client }, {}, http), (page) => page.VpcEndpoints),
        )
      : [],
  ]);
  return { region: region.name, vpcs, subnets, routeTables, endpoints };
}

/**
 * The subnets in which nodes may be put, best first: the VPCs in the order of their names, in each the subnets with most free
 * addresses. `zone` limits them to one, by its name or its id. Throws RegionUnusableError when the region has none, NoCapacityError when the zone has none.
 */
export function chooseSubnets(
  facts: NetworkFacts,
  settings: NetworkSettings,
  zone: string | null,
): readonly NodeSubnet[] {
  const reports = networksOf(facts, settings);
  const subnets = reports.flatMap(usableSubnets);
  if (subnets.length === 0) throw new RegionUnusableError(problemOf(reports, facts), { isClean: true });
  const inZone = subnets.filter(({ zone: name, zoneId }) => zone === null || name === zone || zoneId === zone);
  if (inZone.length === 0) {
    throw new NoCapacityError(
      `No usable subnets matching availability zone ['${zone}'] found. Choose a different availability zone or create a subnet there.`,
      { isClean: true },
    );
  }
  return inZone;
}

/** One report for each VPC that is named, as each is an attempt of its own. */
function networksOf(facts: NetworkFacts, settings: NetworkSettings): readonly NetworkReport[] {
  const names = settings.vpcNames.length === 0 ? [[]] : settings.vpcNames.map((name) => [name]);
  return names.map((vpcNames) => inspectNetwork(facts, { ...settings, vpcNames }));
}

function usableSubnets(report: NetworkReport): readonly NodeSubnet[] {
  if (report.vpcId === undefined || report.problems.length > 0) return [];
  const { vpcId } = report;
  return report.subnets
    .filter((subnet) => subnet.isUsable)
    .toSorted((one, other) => (other.freeAddresses ?? 0) - (one.freeAddresses ?? 0))
    .map(({ id, zone, zoneId }) => ({ id, vpcId, zone, zoneId }));
}

function problemOf(reports: readonly NetworkReport[], facts: NetworkFacts): string {
  return reports.flatMap((report) => report.problems)[0] ?? `No subnet in ${facts.region} can take nodes.`;
}
