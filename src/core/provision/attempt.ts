import { CloudBusyError, OperationFailedError, SkyError, UnknownOutcomeError } from "../../shared/errors.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Cloud, CloudContext, ClusterRef, ClusterSpec, Instance, InstanceId } from "../ports/cloud.ts";
import { planNodes, type NodePlan } from "./node-plan.ts";
import { scopeOf, type BlockScope } from "./places.ts";

/** How long instances may take to run. */
const INSTANCE_WAIT_MS = 600_000;
const POLL_MS = 250;
/** How long a cloud may take to let go of what is undone, after the window in which it may show it late. */
const CLEAR_MS = 120_000;
const LOOK_GAP_MS = 500;
/** How often a call whose answer was lost is sent again. */
const UNKNOWN_TRIES = 5;

/** One cluster at one place of a cloud, and what acting on it needs. */
export interface Site {
  readonly cloud: Cloud;
  readonly ref: ClusterRef;
  readonly numNodes: number;
  readonly cloudContext: CloudContext;
  readonly clock: Clock;
}

/** Why a place did not take the cluster; plain data, so that it can be journaled. */
export interface Refusal {
  readonly reason: string;
  readonly hint?: string;
  /** The error's code, e.g. `NO_CAPACITY`. */
  readonly code: string;
  readonly scope: BlockScope;
  /** Nothing was created, so that there is nothing to undo. */
  readonly isClean: boolean;
}

/** Turns a provider's refusal into data; what is no refusal is thrown on. */
export function toRefusal(error: unknown): Refusal {
  // Not a verdict on the place: the launch has to be repeated.
  if (!(error instanceof SkyError) || error instanceof CloudBusyError || error instanceof UnknownOutcomeError) {
    throw error;
  }
  const { message: reason, hint, code } = error;
  const isClean = "isClean" in error && error.isClean === true;
  return { reason, ...(hint === undefined ? {} : { hint }), code, scope: scopeOf(error), isClean };
}

/**
 * Decides which instances to create and start. `isCertain`: nobody can have created some a moment ago; otherwise a node that is
 * missing is looked for until the cloud would show it.
 */
export async function lookAtNodes(site: Site, isCertain: boolean): Promise<NodePlan> {
  const { cloud, clock, numNodes, cloudContext } = site;
  const until = clock.now() + (isCertain ? 0 : (cloud.consistencyMs ?? 0));
  for (;;) {
    const plan = planNodes(await cloud.query(site.ref, cloudContext), numNodes);
    if (plan.create.length === 0 || clock.now() >= until) return plan;
    await clock.sleep(LOOK_GAP_MS, { signal: cloudContext.signal });
  }
}

/** Asks for the nodes of the plan. A lost answer is not a failure: the same call under the same token tells what came of it. */
export async function requestNodes(site: Site, spec: ClusterSpec, token: string): Promise<void> {
  const { cloud, cloudContext } = site;
  for (let attempt = 1; ; attempt++) {
    try {
      await cloud.run(spec, token, cloudContext);
      return;
    } catch (error) {
      if (!(error instanceof UnknownOutcomeError) || attempt >= UNKNOWN_TRIES) throw error;
    }
    if (await isDone(site, spec)) return;
  }
}

/** Looks, past the time after which the cloud shows what it has created, whether a call without an answer was obeyed. */
async function isDone(site: Site, spec: ClusterSpec): Promise<boolean> {
  const { cloud, clock, cloudContext, ref } = site;
  const until = clock.now() + (cloud.consistencyMs ?? 0);
  for (;;) {
    const on = (await cloud.query(ref, cloudContext)).filter(
      (one) => one.state === "running" || one.state === "pending",
    );
    const created = spec.create.every((index) => on.some((one) => one.index === index));
    if (created && spec.start.every((id) => on.some((one) => one.id === id))) return true;
    if (clock.now() >= until) return false;
    await clock.sleep(LOOK_GAP_MS, { signal: cloudContext.signal });
  }
}

export type Awaited =
  | { readonly isReady: true; readonly instances: readonly Instance[] }
  | { readonly isReady: false; readonly refusal: Refusal };

/** Waits until every node runs. A node that the cloud ends meanwhile, and not `gone` before, is a refusal of the place. */
export async function awaitNodes(site: Site, gone: readonly InstanceId[]): Promise<Awaited> {
  const { cloud, clock, numNodes, ref, cloudContext } = site;
  const deadline = clock.now() + INSTANCE_WAIT_MS;
  for (;;) {
    const seen = await cloud.query(ref, cloudContext);
    const wanted = seen.filter((instance) => instance.index < numNodes && !gone.includes(instance.id));
    const running = wanted.filter((instance) => instance.state === "running").sort((a, b) => a.index - b.index);
    if (running.length >= numNodes) return { isReady: true, instances: running };
    const lost = wanted.find(
      (one) => one.state === "terminated" && !wanted.some((other) => other.index === one.index && other !== one),
    );
    if (lost !== undefined) {
      return notStarted(`The cloud ended node ${lost.index} (${lost.id}) while it was starting.`);
    }
    if (clock.now() > deadline) {
      const minutes = INSTANCE_WAIT_MS / 60_000;
      return notStarted(`Only ${running.length} of ${numNodes} nodes run after ${minutes} minutes.`);
    }
    await clock.sleep(POLL_MS, { signal: cloudContext.signal });
  }
}

function notStarted(reason: string): Awaited {
  return { isReady: false, refusal: { reason, code: "NO_CAPACITY", scope: "zone", isClean: false } };
}

/** Takes back what an attempt has done to a cluster that was up before: its disks stay, and nodes that ran go on. */
export async function undoNodes(site: Site, plan: NodePlan): Promise<void> {
  const { cloud, ref, cloudContext } = site;
  const before = new Set<InstanceId>([...plan.keep, ...plan.start, ...plan.surplus]);
  await clearNodes(site, (instance) => !before.has(instance.id));
  if (plan.start.length > 0) await cloud.stop?.(ref, cloudContext, plan.start);
}

/**
 * Terminates the instances that `isMeant` until none is left and none can show up late any more. Throws OperationFailedError when
 * the cloud does not let go of them.
 */
export async function clearNodes(site: Site, isMeant: (instance: Instance) => boolean = () => true): Promise<void> {
  const { cloud, clock, ref, cloudContext } = site;
  const until = clock.now() + (cloud.consistencyMs ?? 0);
  const deadline = until + CLEAR_MS;
  for (;;) {
    const left = (await cloud.query(ref, cloudContext)).filter((one) => one.state !== "terminated" && isMeant(one));
    if (left.length === 0 && clock.now() >= until) return;
    if (clock.now() > deadline) {
      const ids = left.map((one) => `${one.id}: ${one.state}`).join(", ");
      throw new OperationFailedError(`Instances in unexpected state: ${ids}.`);
    }
    if (left.length > 0)
      await cloud.terminate(
        ref,
        cloudContext,
        left.map((one) => one.id),
      );
    await clock.sleep(LOOK_GAP_MS, { signal: cloudContext.signal });
  }
}
