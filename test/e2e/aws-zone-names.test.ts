/** An account's names for the zones come from every region; one that is slow must not make the others, or itself, vanish. */
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Fault, FaultProxy, SeenCall } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy } from "../support/aws/node-rig.ts";
import { writeProfile } from "../support/aws/profile.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const SLOW = "eu-west-1";

describe.skipIf(findMoto() === undefined)("names of zones", () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let sandbox: Sandbox;

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    sandbox = await Sandbox.create();
    writeProfile(sandbox.home, proxy.url);
    await sandbox.startServer();
  });
  afterEach(async () => {
    await sandbox.dispose();
    await proxy.close();
  });

  const onSlow =
    (fault: Fault) =>
    ({ action, region }: SeenCall): Fault | undefined =>
      action === "ec2:DescribeAvailabilityZones" && region === SLOW ? fault : undefined;
  const hanging = onSlow({ kind: "late", ms: 60_000 });

  const folder = (): string => join(sandbox.home, ".sky/catalogs/v8/aws");
  function file(): string | undefined {
    const names = existsSync(folder()) ? readdirSync(folder()).filter((name) => name.startsWith("az_mappings-")) : [];
    expect(names.length).toBeLessThan(2);
    return names[0] === undefined ? undefined : join(folder(), names[0]);
  }

  async function sky(...args: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await sandbox.sky(args);
    expect(exitCode, stdout + stderr).toBe(0);
    return stdout;
  }
  /** A machine that is busy may not have all answers the first time. */
  async function checkUntil(isDone: () => boolean): Promise<void> {
    const check = async (): Promise<boolean> => {
      await sky("check", "aws");
      return isDone();
    };
    await waitFor("the names of the zones", check, { timeoutMs: 60_000 });
  }
  const plan = (place: string): Promise<string> =>
    sky("launch", "--dryrun", "--cpus", "4", "--infra", `aws/${place}`, "echo");

  it("are not kept while a region is missing, which can be used all the same, and are asked for again", async () => {
    proxy.faultOf = hanging;
    await sky("check", "aws");
    expect(file()).toBeUndefined();
    expect(await plan(SLOW)).toContain(`AWS (${SLOW})`);
    expect(await plan(`${SLOW}/${SLOW}b`)).toContain(`AWS (${SLOW}b)`);
    expect(await plan("us-east-2")).toContain("AWS (us-east-2)");

    proxy.faultOf = () => undefined;
    await checkUntil(() => file() !== undefined);
    expect(readFileSync(file() ?? "", "utf8")).toContain(`\n${SLOW}a,`);
    expect(await plan(SLOW)).toContain(`AWS (${SLOW})`);
  }, 120_000);

  it("of a region that does not answer later are those of before, until it answers", async () => {
    await checkUntil(() => file() !== undefined);
    const whole = readFileSync(file() ?? "", "utf8");
    const old = new Date(Date.now() - 8 * 86_400_000);
    utimesSync(file() ?? "", old, old);
    proxy.faultOf = hanging;
    await sky("check", "aws");
    expect(readFileSync(file() ?? "", "utf8")).toBe(whole);
    const asked = proxy.calls.length;
    proxy.faultOf = () => undefined;
    await checkUntil(() => Date.now() - statSync(file() ?? "").mtimeMs < 60_000);
    expect(proxy.calls.slice(asked).some((call) => call.region === SLOW)).toBe(true);
  }, 120_000);

  it("do not need the answer of a region that is closed to the account, or of the first that is lost", async () => {
    const message = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform this.";
    proxy.faultOf = onSlow({ kind: "refuse", status: 403, code: "UnauthorizedOperation", message });
    await checkUntil(() => file() !== undefined);
    const text = readFileSync(file() ?? "", "utf8");
    expect(text).toContain("\nus-east-1a,");
    expect(text).not.toContain(`\n${SLOW}a,`);
  }, 120_000);
});
