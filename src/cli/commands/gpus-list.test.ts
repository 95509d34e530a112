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
      "GET /enabled_clouds": () => ({ value: ["aws", "ssh/local"] }),
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
    ["ssh/lab", "SSH Node Pools are not enabled. To fix, run: sky check ssh\n"],
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

describe("sky gpus list --infra ssh", () => {
  const node = (name: string, more: object) => ({
    name,
    accelerator_type: null,
    total: { accelerator_count: 0 },
    free: { accelerators_available: 0 },
    ip_address: "10.0.0.1",
    cpu_count: 8,
    memory_gb: 31.3,
    cpu_free: 6,
    memory_free_gb: 31.3,
    is_ready: true,
    ...more,
  });
  const gpus = (kind: string, total: number, free: number) => ({
    accelerator_type: kind,
    total: { accelerator_count: total },
    free: { accelerators_available: free },
  });
  const pools: Readonly<Record<string, unknown>> = {
    "ssh-lab": {
      hint: "",
      node_info_dict: { a: node("a", gpus("L4", 6, 3)), "a (T4)": node("a (T4)", gpus("T4", 1, 1)), b: node("b", {}) },
    },
    "ssh-rack": {
      hint: "r: it did not answer",
      node_info_dict: { r: node("r", { ...gpus("L4", 2, 0), is_ready: false, cpu_free: 0 }) },
    },
  };

  async function list(words: string, infras = ["aws", "ssh/lab", "ssh/local", "ssh/rack"]) {
    const own = await WireServer.start({
      routes: {
        ...server.routes,
        "GET /enabled_clouds": () => ({ value: infras }),
        "POST /kubernetes_node_info": ({ body }) => ({ value: pools[String(body["context"])] }),
      },
    });
    try {
      return await sky(["gpus", "list", ...words.split(" ")], { server: own });
    } finally {
      await own.stop();
    }
  }

  it("counts what is free in each pool and on each host", async () => {
    expect((await list("--infra ssh")).out).toMatchInlineSnapshot(`
      "SSH Node Pool GPUs
      GPU  UTILIZATION                
      L4   3 of 6 free (2 not ready)  
      T4   1 of 1 free                
      SSH Node Pool: lab
      GPU  REQUESTABLE_QTY_PER_NODE  UTILIZATION  
      L4   1, 2, 4, 6                3 of 6 free  
      T4   1                         1 of 1 free  
      SSH Node Pool: rack
      GPU  REQUESTABLE_QTY_PER_NODE  UTILIZATION                
      L4   1, 2                      0 of 0 free (2 not ready)  
      SSH Node Pool per-node GPU availability (rack: r: it did not answer)
      NODE_POOL  NODE    vCPU         Memory (GB)    GPU  GPU UTILIZATION  NODE STATUS  
      lab        a       6 of 8 free  31 of 31 free  L4   3 of 6 free      Healthy      
      lab        a (T4)  6 of 8 free  31 of 31 free  T4   1 of 1 free      Healthy      
      lab        b       6 of 8 free  31 of 31 free  -    0 of 0 free      Healthy      
      rack       r       0 of 8 free  31 of 31 free  L4   0 of 2 free      NotReady     
      "
    `);
  });

  it("shows one pool, one accelerator, and machines with enough of it", async () => {
    expect((await list("--infra ssh/rack")).out).not.toMatch(/\blab\b/u);
    expect((await list("l4:4 --infra ssh")).out).toMatchInlineSnapshot(`
      "SSH Node Pool GPUs
      SSH Node Pool: lab
      GPU  QTY_FILTER  UTILIZATION  
      L4   4           0 of 6 free  
      "
    `);
    expect((await list("H100:2 --infra ssh")).out).toBe(
      "Resources 'H100' with requested quantity 2 not found in SSH Node Pools. To show available accelerators in SSH Node Pools, run: sky gpus list --infra ssh\n",
    );
    const unknown = await list("--infra ssh/nope");
    expect([unknown.code, unknown.err]).toEqual([
      1,
      "error: There is no SSH Node Pool 'nope' that is set up.\nhint: Pools: lab, rack\n",
    ]);
  });

  it("comes before the lists of clouds", async () => {
    expect((await list("T4")).out).toMatch(/^SSH Node Pool GPUs\n.*1 of 1 free {2}\n\nCloud GPUs\nGPU +QTY/su);
  });

  it("says how to get pools", async () => {
    expect((await list("--infra ssh", ["ssh/local"])).out).toBe(
      "SSH Node Pools are not enabled. To fix, run: sky check ssh\n",
    );
  });

  it("has all of it as JSON", async () => {
    const { out } = await list("--infra ssh -o json");
    expect(Object.keys(JSON.parse(out) as object)).toEqual(["lab", "rack"]);
  });
});
