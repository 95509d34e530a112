/** Keeps budgets: what the server does by itself when one is reached. */

import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import { noteBudgetReached } from "../../db/queries/budgets.ts";
import { listClusters, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { toCluster, whyNoStop } from "../clusters/cluster.ts";
import { recordEvent } from "../clusters/transition.ts";
import type { CloudRegistry } from "../ports/cloud.ts";
import { reachedText } from "./outlook.ts";
import { covers } from "./scope.ts";
import { isReached, readBudgetStates, type BudgetState } from "./spending.ts";

/** A cluster whose stop failed is tried again after this time. */
const RETRY_MS = 600_000;

/** A stop or down that the server asks of itself, as if the cluster's owner had. */
export interface BudgetRequest {
  /** The same for the same cluster for ten minutes, so that nothing is asked twice. */
  readonly requestId: string;
  readonly operation: "stop" | "down";
  readonly cluster: ClusterRow;
}

export interface EnforceContext {
  readonly db: Kysely<Database>;
  readonly clock: Clock;
  readonly clouds: CloudRegistry;
  readonly submit: (request: BudgetRequest) => Promise<void>;
  readonly warn: (text: string) => void;
  /** A cluster that nothing can be done about at this moment; the next look tries again, and the others go on. */
  readonly onError: (clusterName: string, error: unknown) => void;
}

/** Looks at every budget once. */
export async function enforceBudgets(context: EnforceContext): Promise<void> {
  const states = await readBudgetStates(context.db, context.clock.now());
  const clusters = states.some(isReached) ? await listClusters(context.db) : [];
  for (const state of states) {
    if (isReached(state)) await keepBudget(state, clusters, context);
    else if (state.budget.reached_at !== null) await noteBudgetReached(context.db, state.budget.name, null);
  }
}

async function keepBudget(state: BudgetState, clusters: readonly ClusterRow[], context: EnforceContext): Promise<void> {
  const { budget } = state;
  const isNew = budget.reached_at === null && (await noteBudgetReached(context.db, budget.name, context.clock.now()));
  if (isNew) context.warn(reachedText(state));
  for (const cluster of clusters) {
    const labels = JSON.parse(cluster.labels) as Readonly<Record<string, string>>;
    if (!covers(budget, { ...cluster, labels })) continue;
    try {
      const todo = await whatToDo(state, cluster, context);
      if (isNew) await tell(state, { cluster, todo }, context);
      if (todo !== undefined)
        await context.submit({ requestId: requestIdOf(state, cluster, context), operation: todo, cluster });
    } catch (error) {
      context.onError(cluster.name, error);
    }
  }
}

/** Undefined when nothing can or need be done: it only warns, it is done, a request is at work, or nodes there cannot be stopped. */
async function whatToDo(
  { budget }: BudgetState,
  cluster: ClusterRow,
  { clouds }: EnforceContext,
): Promise<"stop" | "down" | undefined> {
  if (budget.action === "warn" || cluster.busy_request !== null) return undefined;
  // A cluster that costs nothing spends nobody's money.
  if (cluster.price_usd_per_hour === 0) return undefined;
  if (budget.action === "down") return "down";
  if (cluster.status === "STOPPED" || !clouds.names().includes(cluster.cloud)) return undefined;
  const cloud = await clouds.load(cluster.cloud);
  return whyNoStop(cloud, toCluster(cluster).offer, "no node can") === undefined ? "stop" : undefined;
}

async function tell(
  state: BudgetState,
  { cluster, todo }: { readonly cluster: ClusterRow; readonly todo: "stop" | "down" | undefined },
  context: EnforceContext,
): Promise<void> {
  const reason = `${reachedText(state)}${todo === undefined ? "" : ` The server ${todo === "stop" ? "stops" : "terminates"} the cluster.`}`;
  await updateCluster(context.db, cluster.cluster_hash, { last_event: reason });
  await recordEvent(context, cluster, { type: "DEBUG", to: cluster.status, reason });
}

/** In the form of a UUID. */
function requestIdOf({ budget }: BudgetState, cluster: ClusterRow, { clock }: EnforceContext): string {
  const turn = Math.floor(clock.now() / RETRY_MS);
  const hex = createHash("sha256").update(`${budget.name}\0${cluster.cluster_hash}\0${turn}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}
