/** What others do to the instances of a cluster, by the console or by scripts, and what `sky status -r` says of it. */
import {
  DeleteTagsCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  type Instance,
} from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

describeWithFleet("instances that somebody else", () => {
  let aws: MotoFleet;
  let user: AwsUser;
  /** Somebody at the console, of whose calls the machines know. */
  let console: EC2Client;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    console = new EC2Client({ region: "us-east-1", endpoint: aws.proxy.url, credentials });
    const place = ["--infra", "aws/us-east-1", "--cpus", "2", "--num-nodes", "2"];
    await user.sky("launch", "-y", "-c", "mine", ...place, "echo $SKYPILOT_NODE_RANK > ~/kept");
  }, 240_000);
  afterAll(async () => {
    await user?.dispose();
    await aws?.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  /** Head first. */
  async function nodes(): Promise<readonly [Instance, Instance]> {
    const Filters = [
      { Name: "tag-key", Values: ["ray-cluster-name"] },
      { Name: "instance-state-name", Values: ["running", "stopped"] },
    ];
    const answer = await aws.moto.ec2().send(new DescribeInstancesCommand({ Filters }));
    const all = (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
    const isHead = ({ Tags = [] }: Instance): boolean =>
      Tags.some(({ Key, Value }) => Key === "ray-node-type" && Value === "head");
    const head = all.find(isHead);
    const worker = all.find((one) => !isHead(one));
    if (head === undefined || worker === undefined || all.length !== 2)
      throw new Error(`There are ${all.length} nodes.`);
    return [head, worker];
  }

  /** What the user sees of the cluster now. */
  async function status(): Promise<{ readonly status: string; readonly last_event: string } | undefined> {
    await user.sky("status", "-r");
    const text = await user.sky("status", "-o", "json");
    return (JSON.parse(text) as { readonly status: string; readonly last_event: string }[])[0];
  }

  const idOf = ({ InstanceId = "" }: Instance): string => InstanceId;

  async function expectWhole(): Promise<void> {
    expect((await status())?.status).toBe("UP");
    const said = await user.sky("exec", "mine", "--num-nodes", "2", "echo $SKYPILOT_NODE_RANK kept $(cat ~/kept)");
    expect(said).toContain("0 kept 0");
    expect(said).toContain("1 kept 1");
  }

  it("stopped in part make it INIT, and start makes it whole", async () => {
    const [, worker] = await nodes();
    await console.send(new StopInstancesCommand({ InstanceIds: [idOf(worker)] }));
    await aws.settle();
    expect(await status()).toMatchObject({
      status: "INIT",
      last_event: expect.stringContaining("some but not all nodes are stopped") as string,
    });
    await user.sky("start", "-y", "mine");
    await expectWhole();
  }, 240_000);

  it("stopped and started come back with other addresses, and are used there", async () => {
    const before = await nodes();
    const InstanceIds = before.map(idOf);
    await console.send(new StopInstancesCommand({ InstanceIds }));
    await aws.settle();
    expect((await status())?.status).toBe("STOPPED");
    await console.send(new StartInstancesCommand({ InstanceIds }));
    await aws.settle();
    const after = await nodes();
    expect(after.map(idOf)).toEqual(InstanceIds);
    expect(after[0].PublicIpAddress).not.toBe(before[0].PublicIpAddress);
    // Somebody started the machines; that they are the cluster's again is for its owner to say.
    const seen = await status();
    expect(["UP", "INIT"]).toContain(seen?.status);
    if (seen?.status !== "UP") await user.sky("start", "-y", "mine");
    await expectWhole();
    expect(await user.sky("status", "--ip", "mine")).toContain(after[0].PublicIpAddress);
  }, 240_000);

  it("deprived of their tag are missed, and named, because they go on costing money", async () => {
    const [, worker] = await nodes();
    await console.send(new DeleteTagsCommand({ Resources: [idOf(worker)], Tags: [{ Key: "ray-cluster-name" }] }));
    expect(await status()).toMatchObject({
      status: "INIT",
      last_event: expect.stringContaining(
        `${idOf(worker)} is running, but its tag ray-cluster-name was removed`,
      ) as string,
    });
    await console.send(new TerminateInstancesCommand({ InstanceIds: [idOf(worker)] }));
  }, 120_000);

  it("terminated in part make it INIT, and a launch replaces them", async () => {
    expect(await status()).toMatchObject({
      status: "INIT",
      last_event: expect.stringContaining("one or more nodes terminated") as string,
    });
    const place = ["--infra", "aws/us-east-1", "--cpus", "2", "--num-nodes", "2"];
    const said = await user.sky(
      "launch",
      "-y",
      "-c",
      "mine",
      ...place,
      "echo again $SKYPILOT_NODE_RANK; echo $SKYPILOT_NODE_RANK >~/kept",
    );
    expect(said).toContain("again 1");
    await expectWhole();
  }, 240_000);

  it("launched more like them, tags and all, are not taken for nodes, and go when the cluster is repaired", async () => {
    const [head, worker] = await nodes();
    for (const like of [worker, head]) {
      const Tags = (like.Tags ?? []).filter(({ Key }) => Key?.startsWith("aws:") !== true);
      const made = await console.send(
        new RunInstancesCommand({
          ImageId: like.ImageId,
          InstanceType: like.InstanceType,
          SubnetId: like.SubnetId,
          MinCount: 1,
          MaxCount: 1,
          UserData: Buffer.from('#cloud-config\n{"users":[],"write_files":[],"bootcmd":[]}').toString("base64"),
          TagSpecifications: [{ ResourceType: "instance", Tags }],
        }),
      );
      await aws.settle();
      // Also when the copy runs and the node does not: the disk is the node's.
      if (like === head) await console.send(new StopInstancesCommand({ InstanceIds: [idOf(head)] }));
      await aws.settle();
      expect(await status()).toMatchObject({
        status: "INIT",
        last_event: expect.stringContaining("3 nodes carry the cluster's name, of which 2 were launched") as string,
      });
      await user.sky("start", "-y", "mine");
      expect((await nodes()).map(idOf)).toEqual([idOf(head), idOf(worker)]);
      expect(aws.proxy.world.ledger.get(made.Instances?.[0]?.InstanceId ?? "")?.state).toBe("terminated");
    }
    await expectWhole();
  }, 240_000);

  it("terminated altogether make it vanish", async () => {
    const InstanceIds = (await nodes()).map(idOf);
    await console.send(new TerminateInstancesCommand({ InstanceIds }));
    await aws.settle();
    expect(await status()).toBeUndefined();
    expect(await user.sky("orphans")).toContain("No orphans.");
  }, 120_000);
});
