import type { Route, RouteTable, Subnet, Vpc } from "@aws-sdk/client-ec2";
import type { Facts } from "./facts.ts";

/** The network that nodes would be put into, as `aws.vpc_names`, `subnet_names` and `use_internal_ips` have it. */
export interface NetworkWish {
  /** By `Name` tag, in the order in which they are tried; none = the default VPC. */
  readonly vpcNames: readonly string[];
  readonly subnetNames: readonly string[];
  readonly isInternal: boolean;
  readonly usesSsm: boolean;
}

/** What has to be known of a region to say where nodes go. */
export type NetworkFacts = Pick<Facts, "region" | "vpcs" | "subnets" | "routeTables" | "endpoints">;

/** How a subnet reaches what is outside of its VPC. */
export type WayOut = "internet-gateway" | "nat-gateway" | "other" | "none";

export interface SubnetReport {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  /** The same in every account, e.g. `use1-az1`. */
  readonly zoneId: string;
  readonly wayOut: WayOut;
  readonly isPublic: boolean;
  readonly freeAddresses: number | undefined;
  /** Why nodes are not put there, or what they miss there. */
  readonly problems: readonly string[];
  readonly isUsable: boolean;
}

export interface NetworkReport {
  readonly region: string;
  readonly vpcId: string | undefined;
  readonly subnets: readonly SubnetReport[];
  /** What keeps a launch from working; empty = fine. */
  readonly problems: readonly string[];
}

/** Endpoints through which a node without a way out is reached by Session Manager. */
const SSM_SERVICES = ["ssm", "ssmmessages", "ec2messages"] as const;

/** Says where nodes would be put and what stands in their way, before one is waited for in vain. */
export function inspectNetwork(facts: NetworkFacts, wish: NetworkWish): NetworkReport {
  const found = findVpc(facts, wish);
  if (typeof found === "string") return { region: facts.region, vpcId: undefined, subnets: [], problems: [found] };
  const vpcId = found.VpcId ?? "";
  const named = wish.subnetNames;
  const candidates = facts.subnets.filter(
    (each) => each.VpcId === vpcId && (named.length === 0 || named.includes(nameOf(each))),
  );
  const subnets = candidates.map((each) => inspectSubnet(each, facts, wish));
  return { region: facts.region, vpcId, subnets, problems: networkProblems(subnets, wish, facts.region) };
}

function findVpc(facts: NetworkFacts, wish: NetworkWish): Vpc | string {
  const { region } = facts;
  if (wish.vpcNames.length > 0) return findNamedVpc(facts, wish.vpcNames);
  if (wish.subnetNames.length > 0) {
    const first = facts.subnets.find((each) => wish.subnetNames.includes(nameOf(each)));
    const vpc = facts.vpcs.find((each) => each.VpcId === first?.VpcId);
    if (vpc !== undefined) return vpc;
    return `No subnets with name(s) ${list(wish.subnetNames)} found in ${region}. Please check the subnet names in your config.`;
  }
  return (
    facts.vpcs.find((each) => each.IsDefault === true) ??
    `The default VPC in ${region} either does not exist or has no subnets. Name another one with aws.vpc_names, or create it: aws ec2 create-default-vpc --region ${region}`
  );
}

function findNamedVpc(facts: NetworkFacts, names: readonly string[]): Vpc | string {
  let problem = "";
  for (const name of names) {
    const [first, ...others] = facts.vpcs.filter((each) => nameOf(each) === name);
    if (first !== undefined && others.length === 0) return first;
    const ids = [first, ...others].map((each) => each?.VpcId ?? "");
    problem ||=
      first === undefined
        ? `No VPC with name '${name}' is found in ${facts.region}. To fix: specify a correct VPC name.`
        : `Multiple VPCs with name '${name}' found in ${facts.region}: ${list(ids)}. It is ambiguous as to which VPC to use. To fix: specify a VPC name that is uniquely identifying.`;
  }
  return problem;
}

function inspectSubnet(subnet: Subnet, facts: NetworkFacts, wish: NetworkWish): SubnetReport {
  const wayOut = wayOutOf(routesOf(subnet, facts.routeTables));
  const isPublic = wayOut === "internet-gateway";
  const isExcluded = wish.isInternal ? isPublic || subnet.MapPublicIpOnLaunch === true : !isPublic;
  const problems: string[] = [];
  if (subnet.State !== undefined && subnet.State !== "available") problems.push(`it is ${subnet.State}`);
  if (subnet.AvailableIpAddressCount === 0) problems.push("it has no free address");
  if (isExcluded) problems.push(wish.isInternal ? "it is public" : "it is private");
  const isUsable = problems.length === 0;
  if (isUsable && wish.isInternal) problems.push(...missedInside(subnet, wayOut, facts, wish));
  return {
    id: subnet.SubnetId ?? "",
    name: nameOf(subnet),
    zone: subnet.AvailabilityZone ?? "",
    zoneId: subnet.AvailabilityZoneId ?? "",
    wayOut,
    isPublic,
    freeAddresses: subnet.AvailableIpAddressCount,
    problems,
    isUsable,
  };
}

function missedInside(subnet: Subnet, wayOut: WayOut, facts: NetworkFacts, wish: NetworkWish): string[] {
  if (wayOut !== "none") return [];
  const present = facts.endpoints
    .filter((each) => each.VpcId === subnet.VpcId && (each.State ?? "available").toLowerCase() === "available")
    .map((each) => each.ServiceName ?? "");
  const missing = SSM_SERVICES.filter((service) => !present.some((name) => name.endsWith(`.${service}`)));
  const found = [
    "it has no route out (no NAT gateway): tasks cannot download packages, images or data from the internet",
  ];
  if (wish.usesSsm && missing.length > 0) {
    found.push(`Session Manager cannot reach it: no NAT gateway and no VPC endpoint for ${missing.join(", ")}`);
  }
  return found;
}

/** The routes of a subnet: of the table that names it, else of its VPC's main table. */
function routesOf(subnet: Subnet, tables: readonly RouteTable[]): readonly Route[] {
  const inVpc = tables.filter((each) => each.VpcId === subnet.VpcId);
  const explicit = inVpc.filter((each) => each.Associations?.some((one) => one.SubnetId === subnet.SubnetId));
  const main = inVpc.filter((each) => each.Associations?.some((one) => one.Main === true));
  return (explicit.length > 0 ? explicit : main).flatMap((each) => each.Routes ?? []);
}

function wayOutOf(routes: readonly Route[]): WayOut {
  const live = routes.filter((each) => each.State !== "blackhole");
  // Any route to an internet gateway makes a subnet public, as the documentation of SkyPilot has it.
  if (live.some((each) => each.GatewayId?.startsWith("igw-"))) return "internet-gateway";
  const fallback = live.filter((each) => each.DestinationCidrBlock === "0.0.0.0/0");
  if (fallback.some((each) => each.NatGatewayId !== undefined)) return "nat-gateway";
  return fallback.length > 0 ? "other" : "none";
}

function networkProblems(subnets: readonly SubnetReport[], wish: NetworkWish, region: string): readonly string[] {
  if (subnets.length === 0) {
    return [
      `The VPC in ${region} has no subnets${wish.subnetNames.length > 0 ? ` named ${list(wish.subnetNames)}` : ""}.`,
    ];
  }
  const usable = subnets.filter((each) => each.isUsable);
  if (usable.length === 0) {
    if (subnets.every((each) => each.isPublic) && wish.isInternal) {
      return ["The use_internal_ips option is set to True, but all candidate subnets are public."];
    }
    if (subnets.every((each) => !each.isPublic) && !wish.isInternal) {
      return ["All candidate subnets are private, did you mean to set use_internal_ips to True?"];
    }
    return ["No subnet can take nodes."];
  }
  const unreachable = usable.filter((each) => each.problems.some((text) => text.startsWith("Session Manager")));
  return unreachable.length === usable.length && unreachable[0] !== undefined
    ? [`No subnet is reachable: ${unreachable[0].problems.at(-1) ?? ""}.`]
    : [];
}

function nameOf(thing: Pick<Vpc, "Tags">): string {
  return thing.Tags?.find((each) => each.Key === "Name")?.Value ?? "";
}

function list(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(", ")}]`;
}
