/** What a cluster costs over time: periods with constant rates, written when the cluster changes, so that they survive restarts. */

import type { Kysely } from "kysely";
import {
  findOpenCharge,
  listCharges,
  replaceOpenCharge,
  type ClusterChargeRow,
} from "../../db/queries/cluster-charges.ts";
import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import { shownRate } from "../optimizer/rates.ts";
import type { Offer } from "../ports/cloud.ts";

/** USD per hour for all nodes; null = unknown. */
export interface HourlyRates {
  readonly instances: number | null;
  readonly disks: number | null;
  readonly ips: number | null;
}

export type ChargeState = ClusterChargeRow["state"];

const HOUR_MS = 3_600_000;

/** What nodes of an offer cost while they run, and while they are stopped. */
export function ratesOf(offer: Offer, numNodes: number, state: ChargeState = "running"): HourlyRates {
  const times = (usd: number | null | undefined): number | null => (usd === null ? null : (usd ?? 0) * numNodes);
  const disks = times(offer.extras?.diskUsdPerHour);
  if (state === "stopped") return { instances: 0, disks, ips: 0 };
  return { instances: shownRate(offer, numNodes), disks, ips: times(offer.extras?.ipUsdPerHour) };
}

/** USD per hour of what is known of the rates. */
export function totalRate(rates: HourlyRates): number {
  return (rates.instances ?? 0) + (rates.disks ?? 0) + (rates.ips ?? 0);
}

/** Begins, goes on with or ends the period of a cluster; a period goes on while its rates are the same. */
export async function settleCharge(
  db: Kysely<Database>,
  row: Pick<ClusterRow, "cluster_hash" | "offer" | "num_nodes">,
  to: { readonly state: ChargeState | "gone"; readonly at: number },
): Promise<void> {
  const { cluster_hash } = row;
  const open = await findOpenCharge(db, cluster_hash);
  if (to.state === "gone") {
    if (open !== undefined) await replaceOpenCharge(db, cluster_hash, { at: to.at, next: undefined });
    return;
  }
  const rates = ratesOf(JSON.parse(row.offer) as Offer, row.num_nodes, to.state);
  if (open !== undefined && open.state === to.state && isSame(chargedRates(open), rates)) return;
  const next = {
    cluster_hash,
    state: to.state,
    started_at: to.at,
    ended_at: null,
    instances_usd_per_hour: rates.instances,
    disks_usd_per_hour: rates.disks,
    ips_usd_per_hour: rates.ips,
  };
  await replaceOpenCharge(db, cluster_hash, { at: to.at, next });
}

function isSame(a: HourlyRates, b: HourlyRates): boolean {
  return a.instances === b.instances && a.disks === b.disks && a.ips === b.ips;
}

/** The rates of a period. */
export function chargedRates(charge: ClusterChargeRow): HourlyRates {
  return {
    instances: charge.instances_usd_per_hour,
    disks: charge.disks_usd_per_hour,
    ips: charge.ips_usd_per_hour,
  };
}

/** Whether every price is known. */
export function isComplete({ instances, disks, ips }: HourlyRates): boolean {
  return instances !== null && disks !== null && ips !== null;
}

/** Periods by the hash of their cluster. */
export type ChargesByCluster = ReadonlyMap<string, readonly ClusterChargeRow[]>;

export async function chargesByCluster(
  db: Kysely<Database>,
  filter: Parameters<typeof listCharges>[1],
): Promise<ChargesByCluster> {
  return Map.groupBy(await listCharges(db, filter), (charge) => charge.cluster_hash);
}

/** USD in a window of time. */
export interface Cost {
  readonly instancesUsd: number;
  readonly disksUsd: number;
  readonly ipsUsd: number;
  readonly totalUsd: number;
  /** Milliseconds in which nodes ran. */
  readonly runningMs: number;
  /** False when some price is not known, so that the real cost is higher. */
  readonly isComplete: boolean;
}

/** What periods of one or more clusters cost between two moments (milliseconds). */
export function costOf(
  charges: readonly ClusterChargeRow[],
  window: { readonly from: number; readonly to: number },
): Cost {
  const sum = { instancesUsd: 0, disksUsd: 0, ipsUsd: 0, runningMs: 0, isComplete: true };
  for (const charge of charges) {
    const ms = Math.min(charge.ended_at ?? window.to, window.to) - Math.max(charge.started_at, window.from);
    if (ms <= 0) continue;
    const hours = ms / HOUR_MS;
    const rates = chargedRates(charge);
    sum.instancesUsd += (rates.instances ?? 0) * hours;
    sum.disksUsd += (rates.disks ?? 0) * hours;
    sum.ipsUsd += (rates.ips ?? 0) * hours;
    if (charge.state === "running") sum.runningMs += ms;
    if (!isComplete(rates)) sum.isComplete = false;
  }
  return { ...sum, totalUsd: sum.instancesUsd + sum.disksUsd + sum.ipsUsd };
}
