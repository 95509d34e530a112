import type { Route, RouteTable, Subnet, Vpc } from "@aws-sdk/client-ec2";
import { expect, it } from "vitest";
import type { Facts } from "./facts.ts";
import { inspectNetwork, type NetworkWish } from "./network.ts";

const PUBLIC: NetworkWish = { vpcNames: [], subnetNames: [], isInternal: false, usesSsm: false };
const INSIDE: NetworkWish = { ...PUBLIC, isInternal: true, usesSsm: true };
const TO_INTERNET: Route = { DestinationCidrBlock: "0.0.0.0/0", GatewayId: "igw-1", State: "active" };
const TO_NAT: Route = { DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: "nat-1", State: "active" };

function vpc(id: string, name?: string, isDefault = false): Vpc {
  const Tags = name === undefined ? [] : [{ Key: "Name", Value: name }];
  return { VpcId: id, IsDefault: isDefault, Tags };
}

function subnet(id: string, more: Partial<Subnet> = {}): Subnet {
  return { SubnetId: id, VpcId: "vpc-1", State: "available", AvailabilityZone: "us-east-1a", ...more };
}

function table(routes: Route[], association: { subnet?: string; main?: boolean }): RouteTable {
  const one = association.subnet === undefined ? { Main: true } : { SubnetId: association.subnet };
  return { VpcId: "vpc-1", Routes: routes, Associations: [one] };
}

function facts(part: Partial<Facts>): Facts {
  return {
    region: "us-east-1",
    vpcs: [vpc("vpc-1", undefined, true)],
    subnets: [subnet("subnet-1")],
    routeTables: [table([TO_INTERNET], { main: true })],
    securityGroups: [],
    endpoints: [],
    instance: undefined,
    image: undefined,
    roleArn: undefined,
    profileArn: undefined,
    ...part,
  };
}

it("a default VPC whose main table leads to the internet is fine", () => {
  const report = inspectNetwork(facts({}), PUBLIC);
  expect(report.problems).toEqual([]);
  expect(report.subnets).toMatchObject([
    { id: "subnet-1", wayOut: "internet-gateway", isPublic: true, isUsable: true },
  ]);
});

it("a table of the subnet's own beats the main table, and a dead route leads nowhere", () => {
  const own = table([{ ...TO_INTERNET, State: "blackhole" }], { subnet: "subnet-1" });
  const report = inspectNetwork(facts({ routeTables: [table([TO_INTERNET], { main: true }), own] }), PUBLIC);
  expect(report.subnets[0]).toMatchObject({ wayOut: "none", isUsable: false, problems: ["it is private"] });
  expect(report.problems).toEqual(["All candidate subnets are private, did you mean to set use_internal_ips to True?"]);
});

it("internal nodes are not put into public subnets", () => {
  expect(inspectNetwork(facts({}), INSIDE).problems).toEqual([
    "The use_internal_ips option is set to True, but all candidate subnets are public.",
  ]);
});

it("a private subnet with a NAT gateway is fine for Session Manager", () => {
  const report = inspectNetwork(facts({ routeTables: [table([TO_NAT], { main: true })] }), INSIDE);
  expect(report).toMatchObject({ problems: [], subnets: [{ wayOut: "nat-gateway", isUsable: true, problems: [] }] });
});

it("without NAT gateway or endpoints Session Manager never reaches a node: said before one is waited for", () => {
  const closed = facts({ routeTables: [table([], { main: true })] });
  expect(inspectNetwork(closed, INSIDE).problems).toEqual([
    "No subnet is reachable: Session Manager cannot reach it: no NAT gateway and no VPC endpoint for ssm, ssmmessages, ec2messages.",
  ]);
  const endpoints = ["ssm", "ssmmessages", "ec2messages"].map((service) => ({
    VpcId: "vpc-1",
    ServiceName: `com.amazonaws.us-east-1.${service}`,
    State: "Available" as const,
  }));
  const report = inspectNetwork({ ...closed, endpoints }, INSIDE);
  expect(report.problems).toEqual([]);
  expect(report.subnets[0]?.problems).toEqual([
    "it has no route out (no NAT gateway): tasks cannot download packages, images or data from the internet",
  ]);
});

it.each([
  [[], ["a"], "No VPC with name 'a' is found in us-east-1. To fix: specify a correct VPC name."],
  [
    [vpc("vpc-1", "a"), vpc("vpc-2", "a")],
    ["a"],
    "Multiple VPCs with name 'a' found in us-east-1: ['vpc-1', 'vpc-2']. It is ambiguous as to which VPC to use. To fix: specify a VPC name that is uniquely identifying.",
  ],
  [
    [vpc("vpc-1", "a")],
    [],
    "The default VPC in us-east-1 either does not exist or has no subnets. Name another one with aws.vpc_names, or create it: aws ec2 create-default-vpc --region us-east-1",
  ],
])("with the VPCs %j and the names %j says what is wrong", (vpcs, vpcNames, problem) => {
  expect(inspectNetwork(facts({ vpcs }), { ...PUBLIC, vpcNames }).problems).toEqual([problem]);
});

it("takes the first VPC name that fits, and the VPC of named subnets", () => {
  const two = facts({ vpcs: [vpc("vpc-0"), vpc("vpc-1", "b")] });
  expect(inspectNetwork(two, { ...PUBLIC, vpcNames: ["a", "b"] })).toMatchObject({ vpcId: "vpc-1", problems: [] });
  const named = facts({ vpcs: [vpc("vpc-1")], subnets: [subnet("s", { Tags: [{ Key: "Name", Value: "n" }] })] });
  expect(inspectNetwork(named, { ...PUBLIC, subnetNames: ["n"] })).toMatchObject({ vpcId: "vpc-1", problems: [] });
  expect(inspectNetwork(named, { ...PUBLIC, subnetNames: ["m"] }).problems).toEqual([
    "No subnets with name(s) ['m'] found in us-east-1. Please check the subnet names in your config.",
  ]);
});

it("subnets that are pending or full take no nodes", () => {
  const subnets = [subnet("a", { State: "pending" }), subnet("b", { AvailableIpAddressCount: 0 })];
  const report = inspectNetwork(facts({ subnets }), PUBLIC);
  expect(report.subnets.map((each) => each.problems)).toEqual([["it is pending"], ["it has no free address"]]);
  expect(report.problems).toEqual(["No subnet can take nodes."]);
  expect(inspectNetwork(facts({ subnets: [] }), PUBLIC).problems).toEqual(["The VPC in us-east-1 has no subnets."]);
});
