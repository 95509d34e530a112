import { findCluster } from "../../db/queries/clusters.ts";
import { deleteRefusalsOf } from "../../db/queries/refusals.ts";
import { isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { ShutdownResult } from "../../shared/agent/protocol.ts";
import { abortAfter, secondsOf, type UploadWait } from "../../shared/agent/upload-wait.ts";
import { AgentError, NotSupportedError, OperationFailedError, SkyError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { Cloud } from "../ports/cloud.ts";
import type { StopOrDownBody } from "./bodies.ts";
import { clusterRef, cloudContext, requireCluster, whyNoStop, type Cluster } from "./cluster.ts";
import { greet } from "../provision/renew.ts";
import { removeClusterStorage } from "../storage/remove.ts";
import { lostWithNode, yellow } from "./messages.ts";
import { checkOwner } from "./owner.ts";
import { forgetCluster } from "./refresh.ts";
import { moveTo, noteProgress } from "./transition.ts";
import { listWrittenPlaces, showingWait, uploadWaitOf } from "./upload-wait.ts";
import { withClusterLock } from "./waiting.ts";

const VERIFY_TRIES = 240;
const VERIFY_GAP_MS = 250;
/** How long jobs may take to end and lifecycle hooks to run, before uploads are waited for. */
const SHUTDOWN_SECONDS = 3700;

export const stopOperation: Operation<StopOrDownBody, null> = {
  name: "clusters.stop",
  wireName: "stop",
  schedule: "short",
  isResumable: true,
  run: (body, context) => takeDown(body, context, "stop"),
};

export const downOperation: Operation<StopOrDownBody, null> = {
  name: "clusters.down",
  wireName: "down",
  schedule: "short",
  isResumable: true,
  run: (body, context) => takeDown(body, context, "down"),
};

type Kind = "stop" | "down";

async function takeDown(body: StopOrDownBody, context: OperationContext, kind: Kind): Promise<null> {
  const name = body.cluster_name;
  const uploadWait = uploadWaitOf(body);
  // Journaled, so that a request that goes on after a restart does not miss the cluster that it has removed itself.
  const isThere = await context.effect(
    `${kind}.begin`,
    async () => (await findCluster(context.db, name)) !== undefined,
  );
  if (!isThere) await requireCluster(context.db, name);
  // What is being launched on the cluster must not go on creating things, and lets go of the lock.
  await context.requests.cancelOthers(name);
  return withClusterLock(name, context, async () => {
    await context.requests.cancelOthers(name);
    const row = await findCluster(context.db, name);
    if (row === undefined) return null;
    const cluster = await requireCluster(context.db, name);
    await checkOwner(cluster, context);
    const cloud = await context.clouds.load(row.cloud);
    if (kind === "stop") refuseStop(cluster, cloud);
    await takeDownLocked({ cluster, cloud, kind, isPurge: body.purge === true, uploadWait }, context);
    return null;
  });
}

/** Throws NotSupportedError for a cluster that can only be taken down. */
function refuseStop({ row, offer }: Cluster, cloud: Cloud): void {
  const { name } = row;
  const reason = whyNoStop(cloud, offer, `Stopping is currently not supported for ${cloud.name}.`);
  if (reason === undefined) return;
  throw new NotSupportedError(
    `${yellow(`Stopping cluster '${name}'... skipped.`)}\n  ${reason}\n` +
      `  To terminate the cluster instead, run: \u001b[1msky down ${name}`,
  );
}

interface TakeDown {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
  readonly kind: Kind;
  readonly isPurge: boolean;
  /** Undefined: the user has not said. */
  readonly uploadWait: UploadWait | undefined;
}

async function takeDownLocked(request: TakeDown, context: OperationContext): Promise<void> {
  const { cluster, cloud, kind } = request;
  const { row } = cluster;
  const doing = kind === "stop" ? "stopping" : "terminating";
  // Once only: a request that goes on after a restart must not say so of a cluster that has been stopped already.
  await context.effect(`${kind}.progress`, () =>
    noteProgress(context, row, doing, kind === "stop" ? "Stopping the cluster." : "Terminating the cluster."),
  );
  await ignoringWhenPurged(request, context, async () => {
    await context.effect(`${kind}.jobs`, (token) => endJobs(request, token, context));
    context.agents.drop(row.name);
    await context.effect(`${kind}.instances`, async () => {
      if (kind === "stop") await cloud.stop?.(clusterRef(row), cloudContext(context));
      else await cloud.terminate(clusterRef(row), cloudContext(context));
      await verify(request, context);
    });
  });
  if (kind === "down") await removeClusterStorage(row.cluster_hash, context);
  await context.effect(`${kind}.row`, async () => {
    // What it has used of quota and capacity is there again.
    await deleteRefusalsOf(context.db, row);
    if (kind === "down") {
      await forgetCluster(row, context, "Cluster was terminated by the user.");
      return;
    }
    await moveTo(context, row, {
      to: "STOPPED",
      phase: "ready",
      reason: "Cluster was stopped by the user.",
      fields: { autostop: -1, to_down: 0, busy_request: null },
    });
  });
}

/** Ends every job and the agents, with the lifecycle hooks first. Nodes that cannot be reached are ended by their cloud. */
async function endJobs(request: TakeDown, key: string, context: OperationContext): Promise<void> {
  const { cluster, kind, uploadWait } = request;
  const { row } = cluster;
  if (row.status === "STOPPED") return;
  const places = await listWrittenPlaces(row.cluster_hash, context);
  const isWait = secondsOf(uploadWait ?? 0) > 0 && places.length > 0;
  const doing = `${kind === "stop" ? "Stopping" : "Terminating"} ${row.name}`;
  const work = (): Promise<ShutdownResult> => shutDown(request, key, context);
  try {
    const { lost = [] } = await (isWait ? showingWait({ doing, places }, context, work) : work());
    for (const one of lost) context.log.line(lostWithNode(one));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    // What waits for its upload goes with a node that is removed, and whose agent cannot be told to wait for it.
    if (places.length === 0) return;
    const fate = kind === "down" ? "is lost." : `stays on the nodes' disks, and is sent after: sky start ${row.name}`;
    context.log.line(`WARNING: ${error.message} What was not uploaded yet of ${places.join(", ")} ${fate}`);
  }
}

async function shutDown(request: TakeDown, key: string, context: OperationContext): Promise<ShutdownResult> {
  const { cluster, kind, uploadWait } = request;
  const signal = AbortSignal.any([context.signal, abortAfter(SHUTDOWN_SECONDS + secondsOf(uploadWait))]);
  const wait = uploadWait === undefined ? {} : { uploadWait };
  for (;;) {
    const agent = await context.agents.connect(cluster.row.name, { signal });
    // One that hangs would be waited for until its connection counts as lost.
    await greet(agent, signal);
    try {
      return await agent.call("shutdown", { key, jobs: "kill", hookEvent: kind, ...wait }, { signal });
    } catch (error) {
      // The agent goes on with a wait that the user has asked for, which may outlast connections; the same key joins it.
      if (uploadWait === undefined || !isConnectionLoss(error)) throw error;
    }
  }
}

/**
 * Asks the cloud until nothing runs any more, and ends what shows up late: a launch that was under way may have created it a moment
 * ago.
 */
async function verify(request: TakeDown, context: OperationContext): Promise<void> {
  const { cluster, cloud, kind } = request;
  const ref = clusterRef(cluster.row);
  const wanted = kind === "stop" ? ["stopped", "terminated"] : ["terminated"];
  const isUnderWay = cluster.row.status === "INIT";
  const until = context.clock.now() + (isUnderWay ? (cloud.consistencyMs ?? 0) : 0);
  for (let attempt = 1; ; attempt++) {
    const left = (await cloud.query(ref, cloudContext(context))).filter((instance) => !wanted.includes(instance.state));
    if (left.length === 0) {
      if (context.clock.now() >= until) return;
    } else if (isUnderWay) {
      if (kind === "stop") await cloud.stop?.(ref, cloudContext(context));
      else await cloud.terminate(ref, cloudContext(context));
    }
    if (attempt >= VERIFY_TRIES) {
      const states = left.map((instance) => `${instance.id}: ${instance.state}`).join(", ");
      throw new OperationFailedError(`Instances in unexpected state: ${states}.`, {
        hint: `Repeat the command, or forget the cluster with: sky down --purge ${cluster.row.name}`,
      });
    }
    await context.clock.sleep(VERIFY_GAP_MS, { signal: context.signal });
  }
}

async function ignoringWhenPurged(
  request: TakeDown,
  context: OperationContext,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!request.isPurge || context.signal.aborted || !(error instanceof SkyError)) throw error;
    context.log.line(`WARNING: ${error.message}`);
    context.log.line("WARNING: The cluster is forgotten all the same. Make sure resources are manually deleted.");
    context.agents.drop(request.cluster.row.name);
  }
}
