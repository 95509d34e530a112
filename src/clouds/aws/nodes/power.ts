import {
  ModifyInstanceAttributeCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  type Instance as Ec2Instance,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import type { InstanceId } from "../../../core/ports/cloud.ts";
import { NotSupportedError, OperationFailedError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { findInstances } from "./inventory.ts";
import { codeOf, pauseMs, withEc2, type Region } from "./region.ts";
import { deleteGroup } from "./security-groups.ts";
import { NO_STOP_FOR_SPOT } from "./traits.ts";

/** How long an instance that is stopping may take until it can be started. */
const STOPPING_MS = 480_000;
const GROUP_IN_USE_MS = 300_000;

/** Starts stopped instances; those that are still stopping are waited for. */
export async function startNodes(region: Region, nameOnCloud: string, ids: readonly InstanceId[]): Promise<void> {
  if (ids.length === 0) return;
  const { clock, signal } = region;
  const deadline = clock.now() + STOPPING_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      await withEc2(region, (ec2, http) => ec2.send(new StartInstancesCommand({ InstanceIds: [...ids] }), http));
      return;
    } catch (error) {
      if (codeOf(error) !== "IncorrectInstanceState") throw error;
      const stopping = await stillStopping(region, nameOnCloud, ids);
      if (stopping.length === 0 && attempt > 3) throw error;
      if (clock.now() > deadline) throw stillStoppingError(stopping, error);
      if (attempt === 1 && stopping.length > 0) {
        region.say(`Waiting for instances that are still stopping: ${stopping.join(", ")}.`);
      }
    }
    await clock.sleep(pauseMs(attempt, region.random()), { signal });
  }
}

async function stillStopping(region: Region, nameOnCloud: string, ids: readonly string[]): Promise<readonly string[]> {
  const seen = await findInstances(region, [nameOnCloud]);
  return seen
    .filter((instance) => instance.State?.Name === "stopping")
    .flatMap(({ InstanceId = "" }) => (ids.includes(InstanceId) ? [InstanceId] : []));
}

function stillStoppingError(ids: readonly string[], cause: unknown): OperationFailedError {
  return new OperationFailedError(
    `Timeout for waiting for existing instances [${ids.join(", ")}] in STOPPING state to be STOPPED before restarting them. Please try again later.`,
    { cause },
  );
}

/** Stops what runs; returns once AWS has taken the order. Throws NotSupportedError for spot instances. */
export async function stopNodes(region: Region, nodes: readonly Ec2Instance[]): Promise<void> {
  const running = nodes.filter(({ State }) => State?.Name === "running" || State?.Name === "pending");
  if (running.some((node) => node.InstanceLifecycle === "spot")) {
    throw new NotSupportedError(NO_STOP_FOR_SPOT, {
      hint: "Remove the cluster instead: sky down",
    });
  }
  await changeAll(idsOf(running), (InstanceIds) =>
    withEc2(region, (ec2, http) => ec2.send(new StopInstancesCommand({ InstanceIds }), http)),
  );
}

export async function terminateNodes(region: Region, nodes: readonly Ec2Instance[]): Promise<void> {
  await changeAll(idsOf(nodes), (InstanceIds) =>
    withEc2(region, (ec2, http) => ec2.send(new TerminateInstancesCommand({ InstanceIds }), http)),
  );
}

function idsOf(nodes: readonly Ec2Instance[]): readonly string[] {
  return nodes.flatMap(({ InstanceId }) => InstanceId ?? []);
}

/** Changes what happens to nodes that power themselves off. */
export async function changePowerOff(
  region: Region,
  nodes: readonly Ec2Instance[],
  onPowerOff: "stop" | "terminate",
): Promise<void> {
  const InstanceInitiatedShutdownBehavior = { Value: onPowerOff };
  await Promise.all(
    idsOf(nodes).map((InstanceId) => {
      const input = { InstanceId, InstanceInitiatedShutdownBehavior };
      return withEc2(region, (ec2, http) => ec2.send(new ModifyInstanceAttributeCommand(input), http));
    }),
  );
}

/** One unknown id makes EC2 refuse all of them, and an instance may vanish between the look and the order. */
async function changeAll(ids: readonly string[], change: (ids: string[]) => Promise<unknown>): Promise<void> {
  if (ids.length === 0) return;
  try {
    await change([...ids]);
  } catch (error) {
    const code = codeOf(error);
    if (code !== "InvalidInstanceID.NotFound" && code !== "IncorrectInstanceState") throw error;
    if (ids.length === 1) {
      if (code === "InvalidInstanceID.NotFound") return;
      throw error;
    }
    await Promise.all(ids.map((id) => changeAll([id], change)));
  }
}

/**
 * Terminates a cluster and deletes the security groups that were made for it alone, one in each VPC that it was tried in. Instances
 * are moved to the `fallback` of their VPC first where that is allowed: then the group is free at once, else it is when they are gone.
 */
export async function terminateWithGroups(
  region: Region,
  nodes: readonly Ec2Instance[],
  groups: { readonly own: readonly SecurityGroup[]; readonly fallbacks: readonly SecurityGroup[] },
): Promise<void> {
  await Promise.all(groups.own.map((group) => leave(region, nodes, { group, fallbacks: groups.fallbacks })));
  await terminateNodes(region, nodes);
  await Promise.all(groups.own.map((group) => deleteOwn(region, group)));
}

async function leave(
  region: Region,
  nodes: readonly Ec2Instance[],
  { group, fallbacks }: { readonly group: SecurityGroup; readonly fallbacks: readonly SecurityGroup[] },
): Promise<void> {
  const inGroup = nodes.filter((node) => (node.SecurityGroups ?? []).some((each) => each.GroupId === group.GroupId));
  const fallback = fallbacks.find((each) => each.VpcId === group.VpcId);
  if (fallback?.GroupId === undefined) return;
  await moveTo(region, inGroup, fallback.GroupId).catch((error: unknown) => {
    // It only saves time: whatever AWS says against it, the nodes have to go.
    if (!(error instanceof AwsDeniedError) && codeOf(error) === "") throw error;
  });
}

async function deleteOwn(region: Region, { GroupId: id, GroupName: name = id }: SecurityGroup): Promise<void> {
  if (id === undefined || name === undefined) return;
  await deleteGroup(region, { id, name }, GROUP_IN_USE_MS).catch((error: unknown) => {
    if (!(error instanceof AwsDeniedError)) throw error;
    region.say(`Security group ${name} is left: the credentials in use may not delete it (ec2:DeleteSecurityGroup).`);
  });
}

/** Puts instances that are in exactly one group into another one. */
export async function moveTo(region: Region, nodes: readonly Ec2Instance[], groupId: string): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const groups = (node.SecurityGroups ?? []).flatMap(({ GroupId }) => GroupId ?? []);
      if (node.InstanceId === undefined || groups.length !== 1 || groups[0] === groupId) return;
      const input = { InstanceId: node.InstanceId, Groups: [groupId] };
      await withEc2(region, (ec2, http) => ec2.send(new ModifyInstanceAttributeCommand(input), http));
    }),
  );
}
