import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestServer, type TestServer } from "../../../test/fakes/operation-context.ts";
import { sky } from "../../../test/fakes/run-cli.ts";
import { WireServer, type Call, type Outcome } from "../../../test/fakes/wire-server.ts";
import { installZoneNames, openCatalogs, readRecordedLists } from "../../../test/support/catalogs.ts";
import { createCloudRegistry } from "../../clouds/registry.ts";
import { operations } from "../../core/operations.ts";
import { JsonText } from "../../shared/json-text.ts";
import { ListAcceleratorsBody } from "../../shared/wire/list-accelerators.ts";

let world: TestServer;
let server: WireServer;

beforeAll(async () => {
  world = await createTestServer({
    clouds: (home) => createCloudRegistry({ home, env: {}, catalogs: openCatalogs(home), agentBundle: "" }),
    agentBundle: "",
  });
  installZoneNames(world.home);
  server = await WireServer.start({
    routes: {
      "POST /list_accelerators": answer("list_accelerators"),
      "POST /list_accelerator_counts": answer("list_accelerator_counts"),
    },
  });
});

afterAll(async () => {
  await server.stop();
  await world.close();
});

/** Answers with the real operation on the bundled catalog. */
function answer(name: "list_accelerators" | "list_accelerator_counts"): (call: Call) => Promise<Outcome> {
  let calls = 0;
  return async ({ body }) => {
    calls += 1;
    const context = await world.context(`${name}-${calls}`);
    try {
      const value = await operations[name].run(ListAcceleratorsBody.parse(body), context);
      return { value: value instanceof JsonText ? JSON.parse(value.text) : value };
    } catch (error) {
      return { error: { type: "ValueError", message: (error as Error).message } };
    }
  };
}

/** Columns are as wide as their texts, and whole quantities have no decimals here. */
function squeeze(text: string): string {
  return text.replaceAll(/(\d)\.0(?=\s)/gu, "$1").replaceAll(/ +/gu, " ");
}

describe("sky gpus list prints what 0.14.1 prints", () => {
  it.each(readRecordedLists().map((one) => [one.args.join(" "), one] as const))("%s", async (_, recorded) => {
    const { code, out } = await sky(["gpus", "list", ...recorded.args], { server });
    expect(code).toBe(recorded.exitCode);
    if (recorded.args.includes("json")) expect(JSON.parse(out)).toEqual(JSON.parse(recorded.stdout));
    else expect(squeeze(out)).toBe(squeeze(recorded.stdout));
  });
});

describe("sky gpus list", () => {
  it("takes names as text, puts the exact one first and writes whole quantities without decimals", async () => {
    const { out } = await sky(["gpus", "list", "t4g", "--infra", "aws/us-east-1"], { server });
    expect(out.split("\n").slice(0, 2)).toEqual([
      "GPU  QTY  CLOUD  INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE  REGION     ",
      "T4g  1    AWS    g5g.xlarge     16GB        4      8GB       $ 0.420       $ 0.120            us-east-1  ",
    ]);
    for (const pattern of ["A100|T4", "A.*", "("]) {
      expect((await sky(["gpus", "list", pattern], { server })).out).toMatch(/^Resources '.*' not found in cloud/u);
    }
  });

  it.each([
    ["H1000", "Did you mean H100?"],
    ["trainum", "Did you mean Trainium or Trainium2?"],
    ["T4:3", "Offered quantities: T4 (1, 4, 8), T4g (1, 2)"],
  ])("says what comes close to %s", async (text, hint) => {
    const { code, out } = await sky(["gpus", "list", text], { server });
    expect(out.trimEnd().split("\n").at(-1)).toBe(hint);
    expect(code).toBe(0);
  });

  it("says where else a place's missing accelerator is", async () => {
    const { out } = await sky(["gpus", "list", "H100", "--infra", "aws/eu-west-3"], { server });
    expect(out).toContain("Resources 'H100' not found on AWS.");
    expect(out).toContain("Other regions have: H100 (1, 8)");
  });

  it.each([
    ["L4:1:2", "Invalid accelerator string L4:1:2. Expected format: <accelerator_name>[:<quantity>]."],
    ["L4:0.5", "Invalid accelerator quantity 0.5. Expected a positive integer."],
    ["L4:0", "Invalid accelerator quantity 0. Expected a positive integer."],
    ["L4:", "Invalid accelerator quantity . Expected a positive integer."],
    ["L4 -a", "--all is only allowed without a GPU name."],
    ["--all-regions", "The --all-regions flag is only valid when an accelerator is specified."],
    ["L4 --all-regions --infra aws/us-east-1", "--all-regions and --region flags cannot be used simultaneously."],
    ["L4 --region us-east-1", "The --region flag is only valid when the --cloud flag is set."],
    ["L4 --infra */us-east-1", "The --region flag is only valid when the --cloud flag is set."],
  ])("refuses %s", async (words, message) => {
    const { code, err } = await sky(["gpus", "list", ...words.split(" ")], { server });
    expect(err).toContain(`Error: ${message}\n`);
    expect(code).toBe(2);
  });

  it.each([
    ["L4 --infra aws/us-esat-1", "Invalid region 'us-esat-1'\nDid you mean one of these: '"],
    ["L4 --infra nope", "Cloud 'nope' is not a valid cloud among ['aws', "],
    ["L4 --infra azure", "There is no catalog of Azure in this version."],
    ["L4 --infra aws --cloud aws", "Cannot specify both --infra and --cloud, --region, or --zone."],
  ])("refuses %s with a way out", async (words, message) => {
    const { code, err } = await sky(["gpus", "list", ...words.split(" ")], { server });
    expect(err).toContain(message);
    expect(code).toBe(1);
  });

  it.each([
    ["ssh/lab", "SSH node pools are not listed here yet. To see what their hosts have, run: sky check ssh -v\n"],
    ["k8s", "Kubernetes is not enabled. To fix, run: sky check kubernetes\n"],
  ])("says that %s is not listed, and keeps JSON alone on stdout", async (infra, text) => {
    const table = await sky(["gpus", "list", "--infra", infra], { server });
    expect([table.code, table.out, table.err]).toEqual([0, text, ""]);
    const json = await sky(["gpus", "list", "--infra", infra, "-o", "json"], { server });
    expect([json.code, JSON.parse(json.out), json.err]).toEqual([0, {}, text]);
  });

  it("has an old name, which says so on stderr", async () => {
    const old = await sky(["show-gpus", "H100", "--infra", "aws"], { server });
    const { out } = await sky(["gpus", "list", "H100", "--infra", "aws"], { server });
    expect(old.out).toBe(out);
    expect(old.err).toContain("`sky show-gpus` has been renamed to `sky gpus list`");
  });
});
