import { DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import type { Instance } from "../../../core/ports/cloud.ts";
import { AgentError } from "../../../shared/errors.ts";
import { withEc2, type Region } from "../nodes/region.ts";
import type { Agents } from "./agents.ts";
import { attachHint, hasSsmPolicy, roleOfProfile } from "./role-policies.ts";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 3_000;
/** The look after which an agent that is still offline makes us look at its role: without rights it never comes. */
const SUSPICIOUS_LOOK = 5;

/**
 * Waits until the instance's agent is connected to AWS, at most until `deadlineMs`. Then throws AgentError with what is missing,
 * as far as can be seen.
 */
export async function awaitAgent(
  region: Region,
  instance: Pick<Instance, "id">,
  options: { readonly agents: Agents; readonly deadlineMs: number },
): Promise<void> {
  const { clock, signal } = region;
  let pauseMs = FIRST_PAUSE_MS;
  for (let look = 1; ; look += 1) {
    signal.throwIfAborted();
    // Where we may not look, the session itself will tell.
    if ((await options.agents.stateOf(region, instance.id)) !== "offline") return;
    const isLast = clock.now() + pauseMs > options.deadlineMs;
    const missing = isLast || look === SUSPICIOUS_LOOK ? await missingRights(region, instance.id) : undefined;
    if (missing !== undefined) throw missing;
    if (isLast) throw new AgentError(`${offline(instance.id)}.`, { hint: NETWORK_HINT });
    await clock.sleep(pauseMs, { signal });
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5);
  }
}

const NETWORK_HINT =
  "It needs a way to AWS: a NAT gateway, or VPC endpoints for ssm, ssmmessages and ec2messages (`sky check aws --permissions` looks); and an image with the SSM agent.";

function offline(id: string): string {
  return `The Session Manager agent of ${id} does not connect to AWS`;
}

/** What the instance's role surely lacks; undefined = nothing, as far as can be seen. */
async function missingRights(region: Region, id: string): Promise<AgentError | undefined> {
  const what = offline(id);
  const profile = await profileOf(region, id);
  if (profile === undefined) {
    return new AgentError(`${what}: the instance has no role.`, {
      hint: "Let an administrator run `sky aws setup --features ssm`, then launch the cluster anew.",
    });
  }
  const role = await roleOfProfile(region, profile);
  if (role !== undefined && (await hasSsmPolicy(region, role)) === false) {
    return new AgentError(`${what}: its role ${role} lacks the policy AmazonSSMManagedInstanceCore.`, {
      hint: attachHint(role, region.name),
    });
  }
  return undefined;
}

async function profileOf(region: Region, id: string): Promise<string | undefined> {
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }), http),
  );
  return answer.Reservations?.[0]?.Instances?.[0]?.IamInstanceProfile?.Arn?.split("/").at(-1);
}
