import {
  DescribeInstanceTypesCommand,
  paginateDescribeCapacityReservations,
  type CapacityReservation,
  type _InstanceType,
} from "@aws-sdk/client-ec2";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { collect, withEc2, type Region } from "./region.ts";
import type { NodeBatch } from "./run-request.ts";

const EFA_FAMILIES = [
  "g4dn.",
  "g5.",
  "g6.",
  "gr6.",
  "g6e.",
  "g7e.",
  "p4d.",
  "p4de.",
  "p5.",
  "p5e.",
  "p5en.",
  "p6-b200.",
  "p6-b300.",
];

/** How many network interfaces with EFA a node gets for `network_tier: best`; 0 for types without. */
export async function efaInterfaces(
  region: Region,
  instanceType: string,
  options: { readonly isInternal: boolean },
): Promise<number> {
  if (!EFA_FAMILIES.some((prefix) => instanceType.startsWith(prefix))) return 0;
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: [instanceType as _InstanceType] }), http),
  ).catch((error: unknown) => {
    if (!(error instanceof AwsDeniedError)) throw error;
    region.say(
      `EFA is not used: the credentials in use may not look up what ${instanceType} has (${error.denial.action}).`,
    );
    return { InstanceTypes: [] };
  });
  const most = answer.InstanceTypes?.[0]?.NetworkInfo?.EfaInfo?.MaximumEfaInterfaces ?? 0;
  if (most <= 1 || options.isInternal) return most;
  region.say(
    `${instanceType} has ${most} EFA interfaces, but nodes with a public address can use only 1. To use all of them, set aws.use_internal_ips: true.`,
  );
  return 1;
}

/**
 * Divides the nodes over the capacity that is paid for: the fullest of the named reservations first, the rest as usual. Reservations
 * of another type, zone or state are passed over.
 */
export async function divideOverReservations(
  region: Region,
  nodes: { readonly instanceType: string; readonly zone: string; readonly indices: readonly number[] },
  ids: readonly string[],
): Promise<readonly NodeBatch[]> {
  if (ids.length === 0) return [{ indices: nodes.indices }];
  const Filters = [
    { Name: "instance-type", Values: [nodes.instanceType] },
    { Name: "state", Values: ["active"] },
  ];
  const all = await withEc2(region, (client, http) =>
    collect(paginateDescribeCapacityReservations({ client }, { Filters }, http), (page) => page.CapacityReservations),
  );
  return divide(
    nodes,
    all.filter((each) => ids.includes(each.CapacityReservationId ?? "")),
  );
}

function divide(
  nodes: { readonly zone: string; readonly indices: readonly number[] },
  reservations: readonly CapacityReservation[],
): readonly NodeBatch[] {
  const usable = reservations
    .filter((each) => each.AvailabilityZone === nodes.zone && (each.AvailableInstanceCount ?? 0) > 0)
    .toSorted((one, other) => (other.AvailableInstanceCount ?? 0) - (one.AvailableInstanceCount ?? 0));
  const batches: NodeBatch[] = [];
  let left = nodes.indices;
  for (const { CapacityReservationId: id, AvailableInstanceCount = 0, ReservationType } of usable) {
    if (left.length === 0 || id === undefined) break;
    const reservation = { id, isBlock: ReservationType === "capacity-block" };
    batches.push({ indices: left.slice(0, AvailableInstanceCount), reservation });
    left = left.slice(AvailableInstanceCount);
  }
  return left.length === 0 ? batches : [...batches, { indices: left }];
}
