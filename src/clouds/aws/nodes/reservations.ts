import { paginateDescribeCapacityReservations, type CapacityReservation } from "@aws-sdk/client-ec2";
import { collect, withEc2, type Region } from "./region.ts";
import type { NodeBatch } from "./run-request.ts";

/** The capacity of a type that the account has paid for in a region and that is free. */
export async function findReservations(region: Region, instanceType: string): Promise<readonly CapacityReservation[]> {
  const Filters = [
    { Name: "instance-type", Values: [instanceType] },
    { Name: "state", Values: ["active"] },
  ];
  const all = await withEc2(region, (client, http) =>
    collect(paginateDescribeCapacityReservations({ client }, { Filters }, http), (page) => page.CapacityReservations),
  );
  return all.filter((each) => (each.AvailableInstanceCount ?? 0) > 0);
}

/**
 * Divides the nodes over the capacity that is paid for: the fullest of the named reservations first, the rest as usual, which fills
 * reservations that are open to all. Reservations of another type, zone or state are passed over.
 */
export async function divideOverReservations(
  region: Region,
  nodes: { readonly instanceType: string; readonly zone: string; readonly indices: readonly number[] },
  ids: readonly string[],
): Promise<readonly NodeBatch[]> {
  if (ids.length === 0) return [{ indices: nodes.indices }];
  const all = await findReservations(region, nodes.instanceType);
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
    .filter((each) => each.AvailabilityZone === nodes.zone)
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
