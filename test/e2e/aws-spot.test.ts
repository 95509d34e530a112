import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { waitFor } from "./support/wait-for.ts";

const TASK = `resources:
  infra: aws/us-east-1
  cpus: 2
  use_spot: true
num_nodes: 2
config:
  hooks:
    - run: echo "saved on $SKYPILOT_HOOK_EVENT" > ~/saved
      events: [preemption]
run: |
  echo rank $SKYPILOT_NODE_RANK
  sleep 600
`;

describeWithFleet("spot instances that AWS takes back", () => {
  let aws: MotoFleet;
  let user: AwsUser;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
    user.sandbox.write("task.yaml", TASK);
  }, 120_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });

  const instanceOf = (index: number): string => {
    const found = [...aws.proxy.world.ledger.values()][index];
    if (found === undefined) throw new Error(`There is no instance ${index}.`);
    return found.id;
  };
  const lastEvent = async (): Promise<string> => {
    const records = JSON.parse(await user.sky("status", "-o", "json")) as readonly { readonly last_event: string }[];
    return records[0]?.last_event ?? "";
  };

  it("are announced with their hooks run, and then named as the reason", async () => {
    await user.sky("launch", "-y", "-d", "-c", "spot", "task.yaml");
    const at = new Date(Date.now() + 120_000);
    aws.announce(instanceOf(1), "events/recommendations/rebalance", at);
    await waitFor("the warning", async () => (await lastEvent()).includes("Node 1 may soon be preempted (rebalance"), {
      timeoutMs: 90_000,
    });
    aws.announce(instanceOf(1), "spot/instance-action", at);
    await waitFor("the notice", async () => (await lastEvent()).includes("Node 1 will be preempted at 20"), {
      timeoutMs: 90_000,
    });
    const host = await aws.hostOf(instanceOf(1));
    const isSaved = (): boolean =>
      host.exists("/home/ubuntu/saved") && host.readFile("/home/ubuntu/saved") === "saved on preemption\n";
    await waitFor("the hook", isSaved, { timeoutMs: 60_000 });
    expect((await aws.hostOf(instanceOf(0))).exists("/home/ubuntu/saved")).toBe(false);
    let said = "";
    const onOutput = (text: string): void => void (said += text);
    const following = user.sandbox.startSky(["logs", "spot", "1"], { timeoutMs: 200_000, onOutput });
    await waitFor("the log", () => said.includes("rank 1"));
    await aws.reclaim(instanceOf(1));
    const status = await user.sky("status", "-r", "-v");
    expect(status).toMatch(/^spot .* INIT /mu);
    expect(status).toContain(
      `one or more nodes terminated (AWS says of ${instanceOf(1)}: preempted, AWS took the spot instance back (Server.SpotInstanceTermination))`,
    );
    // Whoever follows the job reads why it failed.
    const { stdout, exitCode } = await following.result;
    expect(stdout).toMatch(/Job 1 failed: node worker1 .*: it was preempted: its provider had announced/u);
    expect(exitCode).toBe(100);
    await user.sky("down", "-y", "spot");
    expect(aws.errors).toEqual([]);
  }, 400_000);
});
