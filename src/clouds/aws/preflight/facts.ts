import {
  DescribeAvailabilityZonesCommand,
  DescribeCapacityReservationsCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  DescribePlacementGroupsCommand,
  DescribeRegionsCommand,
  paginateDescribeRouteTables,
  paginateDescribeSecurityGroups,
  paginateDescribeSubnets,
  paginateDescribeVpcEndpoints,
  paginateDescribeVpcs,
  type EC2Client,
  type Image,
  type Instance,
  type RouteTable,
  type SecurityGroup,
  type Subnet,
  type Vpc,
  type VpcEndpoint,
} from "@aws-sdk/client-ec2";
import { GetInstanceProfileCommand, GetRoleCommand } from "@aws-sdk/client-iam";
import { GetServiceQuotaCommand } from "@aws-sdk/client-service-quotas";
import { ROLE_NAME } from "../actions.ts";
import type { AwsClients } from "../clients.ts";
import { tryCall, type Outcome } from "./outcome.ts";

/** What is there in a region, as far as the principal may look. */
export interface Facts {
  readonly region: string;
  readonly vpcs: readonly Vpc[];
  readonly subnets: readonly Subnet[];
  readonly routeTables: readonly RouteTable[];
  readonly securityGroups: readonly SecurityGroup[];
  readonly endpoints: readonly VpcEndpoint[];
  /** An instance that SkyPilot made. */
  readonly instance: Instance | undefined;
  /** An image that may be tried. */
  readonly image: Image | undefined;
  readonly roleArn: string | undefined;
  readonly profileArn: string | undefined;
}

export interface Exploration {
  readonly facts: Facts;
  /** By the id of the row in the table of actions. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** Standard on-demand vCPUs, a quota that every account has. */
const ANY_QUOTA = "L-1216C47A";
const PUBLIC_IMAGES = [
  ["099720109477", "ubuntu/images/hvm-ssd*/ubuntu-jammy-22.04-amd64-server-20240*"],
  ["amazon", "al2023-ami-2023*-x86_64"],
  ["amazon", "amzn*-x86_64*"],
] as const;

/** Makes the calls that only read, at once, and keeps what they answer. */
export async function explore(
  clients: AwsClients,
  region: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Exploration> {
  const outcomes = new Map<string, Outcome>();
  const read = async <T>(id: string, call: () => Promise<T>): Promise<T | undefined> => {
    let answer: T | undefined;
    outcomes.set(
      id,
      await tryCall(async () => {
        answer = await call();
      }),
    );
    return answer;
  };
  const places = readPlaces(clients, region, read, options.signal);
  const rights = readRights(clients, region, read, options.signal);
  const facts = { region, ...(await places), ...(await rights) };
  return { facts, outcomes };
}

type Read = <T>(id: string, call: () => Promise<T>) => Promise<T | undefined>;

async function readPlaces(
  clients: AwsClients,
  region: string,
  read: Read,
  signal: AbortSignal | undefined,
): Promise<Pick<Facts, "vpcs" | "subnets" | "routeTables" | "securityGroups" | "endpoints">> {
  const client = await clients.ec2(region);
  const http = abortOptions(signal);
  const [vpcs, subnets, routeTables, securityGroups, endpoints] = await Promise.all([
    read("ec2:DescribeVpcs", () => collect(paginateDescribeVpcs({ client }, {}, http), (page) => page.Vpcs)),
    read("ec2:DescribeSubnets", () => collect(paginateDescribeSubnets({ client }, {}, http), (page) => page.Subnets)),
    read("ec2:DescribeRouteTables", () =>
      collect(paginateDescribeRouteTables({ client }, {}, http), (page) => page.RouteTables),
    ),
    read("ec2:DescribeSecurityGroups", () =>
      collect(paginateDescribeSecurityGroups({ client }, {}, http), (page) => page.SecurityGroups),
    ),
    read("ec2:DescribeVpcEndpoints", () =>
      collect(paginateDescribeVpcEndpoints({ client }, {}, http), (page) => page.VpcEndpoints),
    ),
    read("ec2:DescribeRegions", () => client.send(new DescribeRegionsCommand({}), http)),
    read("ec2:DescribeAvailabilityZones", () => client.send(new DescribeAvailabilityZonesCommand({}), http)),
  ]);
  return {
    vpcs: vpcs ?? [],
    subnets: subnets ?? [],
    routeTables: routeTables ?? [],
    securityGroups: securityGroups ?? [],
    endpoints: endpoints ?? [],
  };
}

async function collect<Page, T>(pages: AsyncIterable<Page>, pick: (page: Page) => T[] | undefined): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages) found.push(...(pick(page) ?? []));
  return found;
}

async function readRights(
  clients: AwsClients,
  region: string,
  read: Read,
  signal: AbortSignal | undefined,
): Promise<Pick<Facts, "instance" | "image" | "roleArn" | "profileArn">> {
  const [ec2, iam, quotas] = await Promise.all([clients.ec2(region), clients.iam(), clients.quotas(region)]);
  const http = abortOptions(signal);
  const own = [
    { Name: "tag-key", Values: ["skypilot-cluster-name"] },
    { Name: "instance-state-name", Values: ALIVE },
  ];
  const [instances, image, role, profile] = await Promise.all([
    read("ec2:DescribeInstances", () => ec2.send(new DescribeInstancesCommand({ Filters: own }), http)),
    read("ec2:DescribeImages", () => findImage(ec2, http)),
    read("iam:GetRole", () => iam.send(new GetRoleCommand({ RoleName: ROLE_NAME }), http)),
    read("iam:GetInstanceProfile", () =>
      iam.send(new GetInstanceProfileCommand({ InstanceProfileName: ROLE_NAME }), http),
    ),
    read("ec2:DescribeInstanceTypes", () =>
      ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: ["m6i.large"] }), http),
    ),
    read("ec2:DescribeCapacityReservations", () => ec2.send(new DescribeCapacityReservationsCommand({}), http)),
    read("ec2:DescribePlacementGroups", () => ec2.send(new DescribePlacementGroupsCommand({}), http)),
    read("servicequotas:GetServiceQuota", () =>
      quotas.send(new GetServiceQuotaCommand({ ServiceCode: "ec2", QuotaCode: ANY_QUOTA }), http),
    ),
  ]);
  return {
    instance: instances?.Reservations?.flatMap((each) => each.Instances ?? [])[0],
    image,
    roleArn: role?.Role?.Arn,
    profileArn: profile?.InstanceProfile?.Arn,
  };
}

/** A public image of one that publishes them in this partition; any will do, as it is never started. */
async function findImage(ec2: EC2Client, http: { abortSignal?: AbortSignal }): Promise<Image | undefined> {
  for (const [owner, name] of PUBLIC_IMAGES) {
    const Filters = [
      { Name: "name", Values: [name] },
      { Name: "architecture", Values: ["x86_64"] },
    ];
    const answer = await ec2.send(new DescribeImagesCommand({ Owners: [owner], Filters }), http);
    if (answer.Images?.[0] !== undefined) return answer.Images[0];
  }
  return undefined;
}

const ALIVE = ["pending", "running", "stopping", "stopped"];

function abortOptions(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
