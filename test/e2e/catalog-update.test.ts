import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FaultProxy } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { PriceServer } from "../support/aws/price-server.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const ACCOUNT = "123456789012";

describe.skipIf(findMoto() === undefined)("sky catalog update from AWS (moto, and a price list of ours)", () => {
  let moto: Moto;
  let prices: PriceServer;
  let sandbox: Sandbox;
  let env: Record<string, string>;

  beforeAll(async () => {
    moto = await Moto.start();
    prices = await PriceServer.start({ "m6i.large": "0.1230000000", "g5.xlarge": "1.5000000000" });
    sandbox = await Sandbox.create();
    env = {
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_ENDPOINT_URL: moto.url,
      AWS_ENDPOINT_URL_PRICING: prices.url,
    };
    await sandbox.startServer(env);
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await prices?.stop();
    moto?.stop();
  });

  const catalogs = (): string => join(sandbox.home, ".sky", "catalogs", "v8");
  const sky = (...words: string[]) => sandbox.sky(words, { env: sandbox.env(env) });
  const update = (...words: string[]) => sky("catalog", "update", "--cloud", "aws", ...words);
  const rows = (): readonly string[] => readFileSync(join(catalogs(), "aws", "vms.csv"), "utf8").split("\n");

  it("a check learns how the account calls its zones, so that a zone can be asked for", async () => {
    expect((await sky("check", "aws")).stdout).toContain("AWS: enabled");
    const learnt = (): boolean => {
      const folder = join(catalogs(), "aws");
      const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("az_mappings-")) : [];
      return files.some((name) => readFileSync(join(folder, name), "utf8").includes("\neu-west-3a,euw3-az1\n"));
    };
    // Regions that do not answer within seconds are left to the next check.
    while (!learnt()) await sky("check", "aws");
    const task = sandbox.write("zone.yaml", "resources: {infra: aws/eu-west-3/eu-west-3z}\nrun: echo\n");
    const { stderr, exitCode } = await sky("launch", "--dryrun", task);
    expect(stderr).toContain(
      "Invalid zone 'eu-west-3z' for region 'eu-west-3'\nDid you mean one of these: 'eu-west-3a, ",
    );
    expect(exitCode).toBe(1);
  });

  it("goes on after a kill with the regions that it had not read", async () => {
    const held = Promise.withResolvers<void>();
    prices.onAsk = (region) => (region === "eu-west-3" ? held.promise : Promise.resolve());
    const running = sandbox.startSky(["catalog", "update", "--region", "us-west-1", "--region", "eu-west-3"], {
      env: sandbox.env(env),
    });
    const note = join(catalogs(), ".meta", "aws", `readings-${ACCOUNT}`, "us-west-1.json");
    await waitFor("the first region to be read", () => existsSync(note), { timeoutMs: 120_000 });
    await sandbox.killServer();
    held.resolve();
    prices.onAsk = () => Promise.resolve();
    await running.result;
    expect(existsSync(join(catalogs(), "aws", "vms.csv"))).toBe(false);

    await sandbox.startServer(env);
    prices.asked.length = 0;
    const { stdout, exitCode } = await update("--region", "us-west-1", "--region", "eu-west-3");
    expect(stdout).toMatch(/^AWS {4}refreshed file {2}/mu);
    expect(exitCode).toBe(0);
    expect(prices.asked).toEqual(["eu-west-3"]);
  });

  it("has written prices and zones of the account, and kept what is known of other regions", async () => {
    expect(rows().filter((row) => row.startsWith("m6i.large,") && row.includes(",eu-west-3,"))).toEqual([
      expect.stringMatching(/^m6i\.large,,,2\.0,8\.0,,0\.123,[\d.]*,eu-west-3,euw3-az1,x86_64,,False,,,$/u),
      expect.stringMatching(/,euw3-az2,/u),
      expect.stringMatching(/,euw3-az3,/u),
    ]);
    expect(rows().filter((row) => row.startsWith("m6i.large,,,2.0,8.0,,0.096,")).length).toBeGreaterThan(3);
    const learnt = (): boolean => {
      const folder = join(catalogs(), "aws");
      const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("az_mappings-")) : [];
      return files.some((name) => readFileSync(join(folder, name), "utf8").includes("\neu-west-3a,euw3-az1\n"));
    };
    // Regions that do not answer within seconds are left to the next check.
    while (!learnt()) await sky("check", "aws");
    const today = new Date().toISOString().slice(0, 10);
    const { stdout } = await sky("catalog", "info", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject([
      {
        kind: "refreshed file",
        has_zone_names: true,
        on_demand_date: today,
        spot_date: "2025-04-24",
        on_demand_dates: { "us-east-1": "2026-07-20", "us-east-2": "2025-04-24" },
      },
    ]);
    const disks = readFileSync(join(catalogs(), "aws", "disk_prices.csv"), "utf8")
      .trimEnd()
      .split("\n");
    expect(disks).toEqual([
      "VolumeType,Region,UsdPerGbMonth,UsdPerIopsMonth,UsdPerMibpsMonth",
      "gp3,eu-west-3,0.088,0.0055,0.044",
      "gp3,us-west-1,0.088,0.0055,0.044",
    ]);
    const plan = await sky("launch", "--dryrun", "--infra", "aws/eu-west-3", "--instance-type", "m6i.large", "echo");
    expect(plan.stdout).toContain("disk of 256 GB $0.04");
    const list = await sky("gpus", "list", "A10G:1", "--infra", "aws/eu-west-3");
    expect(list.stdout).toMatch(/^A10G {2}1 {4}AWS {4}g5\.xlarge .* \$ 1\.500 .* eu-west-3/mu);
  });

  it("reads nothing again that is fresh", async () => {
    prices.asked.length = 0;
    expect((await update("--region", "eu-west-3")).exitCode).toBe(0);
    expect(prices.asked).toEqual([]);
  });

  it("keeps the prices that are known when the price list is denied, and says so", async () => {
    prices.isDenied = true;
    const { stdout, exitCode } = await update("--region", "eu-west-3", "--force");
    prices.isDenied = false;
    expect(stdout).toContain(
      "AWS: eu-west-3: keeps the on-demand prices that are known (pricing:GetProducts was refused: AccessDeniedException (not authorized to GetProducts))",
    );
    expect(exitCode).toBe(0);
    expect(rows().some((row) => /^m6i\.large,.*,0\.123,.*,eu-west-3,/u.test(row))).toBe(true);
  });

  it("reads every region, each type once", { timeout: 400_000 }, async () => {
    const proxy = await FaultProxy.open(moto.url);
    const own = { ...env, AWS_ENDPOINT_URL: proxy.url };
    const words = ["catalog", "update", "--cloud", "aws", "--force"];
    const { stdout, exitCode } = await sandbox.sky(words, { env: sandbox.env(own), timeoutMs: 380_000 });
    const regions = new Set(proxy.calls.map((call) => call.region)).size;
    const asked = proxy.calls.filter((call) => call.action === "ec2:DescribeInstanceTypes");
    const names = asked.flatMap(({ params }) =>
      [...params].flatMap(([key, value]) => (key.startsWith("InstanceType.") ? [value] : [])),
    );
    await proxy.close();
    expect(stdout).toContain(`${regions} of ${regions} regions`);
    expect(exitCode).toBe(0);
    expect(regions).toBeGreaterThan(25);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(1000);
  });

  it("refuses what cannot be, and leaves a file of the user alone", async () => {
    const before = statSync(join(catalogs(), "aws", "vms.csv")).mtimeMs;
    const misspelt = await update("--region", "eu-wst-3");
    expect(misspelt.stderr).toContain("The account has no region 'eu-wst-3' enabled.\nhint: Did you mean ");
    const other = await sky("catalog", "update", "--cloud", "gcp");
    expect(other.stderr).toContain("hint: Use a published one: sky catalog update --cloud gcp --from published");
    expect([misspelt.exitCode, other.exitCode]).toEqual([1, 1]);
    expect(statSync(join(catalogs(), "aws", "vms.csv")).mtimeMs).toBe(before);
  });
});
