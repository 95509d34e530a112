import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import type { Offer, OfferLimit } from "../../src/core/ports/cloud.ts";
import { QuotaExceededError } from "../../src/shared/errors.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { type Fault } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { writeProfile } from "../support/aws/profile.ts";
import { freshProxy, clusterSpec, contextWith, openNodes } from "../support/aws/node-rig.ts";
import { installZoneNames } from "../support/catalogs.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const STANDARD = "L-1216C47A";
const STANDARD_SPOT = "L-34B43A08";
/** Longer than any test may take. */
const FOREVER_MS = 3_600_000;

let moto: Moto;
let proxy: FaultProxy;
let nodes: AwsNodes;

const { offer } = clusterSpec("mine", 1);
const { context } = contextWith();

function limitsOf(numNodes: number, ...changes: readonly Partial<Offer>[]): Promise<readonly OfferLimit[]> {
  return nodes.limits({ offers: changes.map((change) => ({ ...offer, ...change })), numNodes }, context);
}

function denied(action: string): Fault {
  const by = "because no identity-based policy allows the action";
  const message = `User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ${action} on resource: x ${by}`;
  const code = action.startsWith("ec2:") ? "UnauthorizedOperation" : "AccessDeniedException";
  return { kind: "refuse", status: action.startsWith("ec2:") ? 403 : 400, code, message };
}

function refuseAll(action: string): void {
  proxy.faultOf = (call) => (call.action === action ? denied(action) : undefined);
}

describe.skipIf(findMoto() === undefined)("what an account may have on AWS", () => {
  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    nodes = openNodes(proxy.url);
  });
  afterEach(() => proxy.close());

  it("is a quota of its own in each region and for each purchase option", async () => {
    proxy.world.rules.quotas = { [STANDARD]: 64, [`eu-west-1/${STANDARD}`]: 0, [STANDARD_SPOT]: 4 };
    const found = await limitsOf(4, {}, { region: "eu-west-1" }, { useSpot: true }, { zone: "us-east-1b" });
    expect(found).toEqual([
      { notes: [] },
      { refusal: `quota 0 (Quota ${STANDARD}, ${STANDARD})`, notes: [] },
      { refusal: `quota too small: 4 vCPUs, 8 are needed (Quota ${STANDARD_SPOT}, ${STANDARD_SPOT})`, notes: [] },
      { notes: [] },
    ]);
    expect(proxy.counts()).toMatchObject({ "servicequotas:GetServiceQuota": 3, "ec2:DescribeInstances": 1 });
  });

  it("is less by what runs already", async () => {
    await nodes.run(clusterSpec("mine", 3), "token", context);
    proxy.world.rules.quotas = { [STANDARD]: 7 };
    const [now] = await openNodes(proxy.url).limits({ offers: [offer], numNodes: 1 }, context);
    expect(now?.refusal).toMatch(
      /^quota used up: 6 of 7 vCPUs run, 2 more are needed \(Quota L-1216C47A, L-1216C47A\)$/u,
    );
    const [spot] = await openNodes(proxy.url).limits({ offers: [{ ...offer, useSpot: true }], numNodes: 1 }, context);
    expect(spot?.refusal).toBeUndefined();
  });

  it("is denied by what the launch itself would say", async () => {
    proxy.world.rules.quotas = { [STANDARD]: 64 };
    refuseAll("ec2:RunInstances");
    expect(await limitsOf(1, {})).toEqual([
      { refusal: "denied: no identity-based policy allows ec2:RunInstances", notes: [] },
    ]);
    expect(proxy.calls.find((call) => call.action === "ec2:RunInstances")?.params.get("DryRun")).toBe("true");
  });

  it("is not known, and said so, without the permission to ask", async () => {
    refuseAll("servicequotas:GetServiceQuota");
    expect(await limitsOf(1, {})).toEqual([{ notes: ["quota unknown: servicequotas:GetServiceQuota is not allowed"] }]);
    proxy.world.rules.quotas = { [STANDARD]: 64 };
    refuseAll("ec2:DescribeInstances");
    expect(await limitsOf(1, {})).toEqual([
      { notes: ["use of the quota unknown: ec2:DescribeInstances is not allowed"] },
    ]);
  });

  it("is waited for three seconds, and no region holds up another", async () => {
    proxy.world.rules.quotas = { [STANDARD]: 0 };
    proxy.faultOf = (call) => (call.region === "eu-west-1" ? { kind: "late", ms: FOREVER_MS } : undefined);
    const found = await limitsOf(1, {}, { region: "eu-west-1" });
    expect(found.map((one) => one.refusal ?? one.notes[0])).toEqual([
      `quota 0 (Quota ${STANDARD}, ${STANDARD})`,
      "quota unknown: AWS did not answer within 3 s",
    ]);
  });

  describe("a launch", () => {
    it.each([
      [0, "Found no quota for m6i.large on-demand instances in region us-east-1 in AWS: quota 0"],
      [3, "Not enough quota for m6i.large on-demand instances in region us-east-1 in AWS: quota too small: 3 vCPUs, 4"],
    ])("is not sent to a region with a quota of %d", async (value, text) => {
      proxy.world.rules.quotas = { [STANDARD]: value };
      const error = await nodes.run(clusterSpec("mine", 2), "token", context).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(QuotaExceededError);
      expect(error).toMatchObject({ isClean: true, message: expect.stringContaining(text) });
      expect(proxy.counts()["ec2:RunInstances"]).toBeUndefined();
    });

    it("goes on with what AWS says where the quota cannot be read, or not in time", async () => {
      refuseAll("servicequotas:GetServiceQuota");
      await nodes.run(clusterSpec("one", 1), "t1", context);
      proxy.faultOf = (call) =>
        call.action.startsWith("servicequotas:") ? { kind: "late", ms: FOREVER_MS } : undefined;
      await nodes.run(clusterSpec("two", 1, { offer: { useSpot: true } }), "t2", context);
      expect(proxy.world.ledger.size).toBe(2);
    });

    it("does not ask where capacity that is paid for is used", async () => {
      proxy.world.rules.quotas = { [STANDARD]: 0 };
      await nodes.run(clusterSpec("mine", 1), "token", contextWith({ prioritize_reservations: true }).context);
      expect(proxy.world.ledger.size).toBe(1);
    });
  });

  describe("as a user sees it", () => {
    let sandbox: Sandbox;

    beforeEach(async () => {
      sandbox = await Sandbox.create();
      installZoneNames(sandbox.home);
      writeProfile(sandbox.home, proxy.url);
      await sandbox.startServer();
      await sandbox.sky(["check", "aws"]);
    });
    afterEach(() => sandbox.dispose());

    const plan = ["launch", "--dryrun", "--cpus", "4", "--infra", "aws"];

    it("the plan leaves the regions out that would refuse, and says why", async () => {
      proxy.world.rules.quotas = { [STANDARD]: 64, [`us-east-1/${STANDARD}`]: 0 };
      const { stdout, exitCode } = await waitFor("the answers of all regions", async () => {
        const result = await sandbox.sky([...plan, "--explain", "echo"]);
        const isWhole =
          result.stdout.includes("us-east-1 m6i.xlarge: quota 0") && !result.stdout.includes("quota unknown");
        return isWhole && result;
      });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^ AWS \(us-east-2\) +m6i\.xlarge .*✔/mu);
      expect(stdout).toMatch(/^1 +AWS \(us-east-2\) .*chosen *$/mu);
      expect(stdout).toContain(`  AWS: us-east-1 m6i.xlarge: quota 0 (Quota ${STANDARD}, ${STANDARD})\n`);
    });

    it("says once what it could not find out, and asks nothing for a plain plan", async () => {
      refuseAll("servicequotas:GetServiceQuota");
      const { stdout } = await sandbox.sky([...plan, "--explain", "echo"]);
      expect(stdout.split("quota unknown: servicequotas:GetServiceQuota is not allowed")).toHaveLength(2);
      proxy.calls.length = 0;
      expect((await sandbox.sky([...plan, "echo"])).exitCode).toBe(0);
      expect(proxy.calls.filter((call) => !call.action.startsWith("sts:"))).toEqual([]);
    });

    it("a task that fits nowhere says that the quotas are why", async () => {
      proxy.world.rules.quotas = { [STANDARD]: 0 };
      const { stderr, exitCode } = await waitFor("the answers of all regions", async () => {
        const result = await sandbox.sky([...plan, "--explain", "echo"]);
        return result.exitCode === 1 && result;
      });
      expect(exitCode).toBe(1);
      expect(stderr).toContain(`AWS: quota 0 (Quota ${STANDARD}, ${STANDARD})`);
    });
  });
});
