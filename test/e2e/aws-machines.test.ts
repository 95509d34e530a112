import { afterAll, beforeAll, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import { waitFor } from "./support/wait-for.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { clusterSpec, contextWith, openNodes, refOf } from "../support/aws/node-rig.ts";

describeWithFleet("the machines behind moto", () => {
  let aws: MotoFleet;
  let nodes: AwsNodes;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    nodes = openNodes(aws.proxy.url);
  }, 120_000);
  afterAll(() => aws.dispose());

  it("start with their user data, stop, start with the same disk, and end", async () => {
    const { context } = contextWith({ post_provision_runcmd: ["echo $(hostname) >/root/first-boot"] });
    const spec = clusterSpec("mine", 1);
    const ref = refOf(spec);
    await nodes.run(spec, "token", context);
    const [node] = await nodes.query(ref, context);
    const host = await aws.hostOf(node?.id ?? "");
    expect(host.readFile("/root/first-boot")).toBe(`${node?.id}\n`);
    expect(host.readFile("/home/ubuntu/.ssh/authorized_keys")).toContain("AAAAC3NzaC1lZDI1NTE5AAAAIJ");
    const ping = await aws.fleet.run([
      "sh",
      "-c",
      `echo | timeout 3 bash -c 'head -c 3 </dev/tcp/${node?.externalIp}/22'`,
    ]);
    expect(ping.stdout).toBe("SSH");

    host.writeFile("/home/ubuntu/kept", "yes");
    await nodes.stop(ref, context);
    await aws.settle();
    expect(host.isOn).toBe(false);
    await nodes.run(clusterSpec("mine", 1, { create: [], start: [node?.id ?? ""] }), "again", context);
    await aws.settle();
    expect(host.readFile("/home/ubuntu/kept")).toBe("yes");

    await host.exec(["sudo", "-n", "shutdown", "-h", "now"], { user: "ubuntu" });
    await waitFor("the instance to be stopped", async () => (await nodes.query(ref, context))[0]?.state === "stopped");
    await nodes.terminate(ref, context);
    await aws.settle();
    expect(host.isOn).toBe(false);
    expect(aws.errors).toEqual([]);
  });
});
