import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listsClusters } from "../../../test/fakes/records.ts";
import { sky } from "../../../test/fakes/run-cli.ts";
import { gives, WireServer } from "../../../test/fakes/wire-server.ts";
import type { Plan, PlanTask } from "../../shared/wire/plan.ts";

let server: WireServer;

const chosen = {
  infra: "AWS (us-east-1)",
  cloud: "aws",
  region: "us-east-1",
  zone: null,
  instance_type: "m6i.2xlarge",
  cpus: 8,
  memory: 32,
  accelerators: {},
  use_spot: false,
  usd_per_hour: 0.768,
  priced_at: "2026-07-20",
};
const task: PlanTask = {
  name: "t",
  num_nodes: 2,
  disk_gib: 256,
  chosen,
  cost: { instances: 0.768, disks: 0.056, ips: 0.01, total: 0.834, is_complete: true, stopped: 0.056 },
  autostop: { idle_minutes: 10, down: false },
};
const plan: Plan = {
  minimize: "cost",
  tasks: [task],
  egress: [],
  usd_per_hour: 0.834,
  budgets: [
    {
      name: "team",
      scope: "workspace default",
      period: "month",
      action: "stop",
      limit_usd: 100,
      spent_usd: 42.1,
      usd_per_hour: 0.834,
      projected_usd: 188.5,
      reached_at: 1_795_000_000,
    },
  ],
};

beforeEach(async () => {
  server = await WireServer.start({
    routes: {
      "POST /validate": (_call, response) => void response.end("null"),
      "POST /status": listsClusters([]),
      "POST /optimize": gives(plan, "Considered resources (2 nodes):\n"),
      "POST /launch": gives(
        { job_id: null, handle: null, plan },
        "Considered resources (2 nodes):\nDryrun finished.\n",
      ),
    },
  });
});

afterEach(() => server.stop());

function givesPlan(changed: Partial<PlanTask>): void {
  server.routes["POST /launch"] = gives(
    { job_id: null, handle: null, plan: { ...plan, tasks: [{ ...task, ...changed }] } },
    "",
  );
}

describe("what a plan costs", () => {
  test("is said before the question", async () => {
    const { code, out, err } = await sky(["launch", "-c", "c", "echo hi"], { server, answers: ["n"] });
    expect(code).toBe(1);
    expect(err).toContain("Launching a new cluster 'c'. Proceed? [Y/n]: ");
    expect(out).toMatchInlineSnapshot(`
      "Command to run: echo hi
      Considered resources (2 nodes):
      Cost of 2 nodes: $0.83/hr: instances $0.77, disks of 256 GB $0.06, public IPv4 $0.01 (prices of 2026-07-20)
      Autostop after 10 idle minutes saves $0.78/hr; $0.06/hr for disks remain
      Budget team (workspace default): $42.10 of $100.00 spent this month; with this about $188.50 at its end, reached on 2026-11-18 11:06 UTC and then the server stops its clusters
      "
    `);
  });

  test.each<[string, Partial<PlanTask>, string]>([
    [
      "no autostop",
      { autostop: null },
      "No autostop: $20.02 a day until it is stopped; `-i 30` stops it after 30 idle minutes",
    ],
    [
      "autodown",
      { autostop: { idle_minutes: 1, down: true } },
      "Autodown after 1 idle minute: from then on it costs nothing, which saves $0.83/hr",
    ],
    [
      "an unknown price",
      { num_nodes: 1, cost: { ...task.cost, disks: null, total: 0.778, is_complete: false } },
      "Cost: $0.78/hr: instance $0.77, disk of 256 GB of unknown price, public IPv4 $0.01 (prices of 2026-07-20)",
    ],
    ["a spot price", { chosen: { ...chosen, use_spot: true } }, "(spot prices of 2026-07-20)"],
  ])("%s", async (_, changed, line) => {
    givesPlan(changed);
    const { out } = await sky(["launch", "--dryrun", "echo hi"], { server });
    expect(out).toContain(line);
  });

  test("nothing is said of what costs nothing, nor by a server that does not describe plans", async () => {
    const nothing = { instances: 0, disks: 0, ips: 0, total: 0, is_complete: true, stopped: 0 };
    givesPlan({ cost: nothing });
    expect((await sky(["launch", "--dryrun", "echo hi"], { server })).out).toBe("Command to run: echo hi\n");
    server.routes["POST /launch"] = gives({ job_id: null, handle: null }, "");
    const { code, out, err } = await sky(["launch", "--dryrun", "--explain", "echo hi"], { server });
    expect([code, out]).toEqual([0, "Command to run: echo hi\n"]);
    expect(err).toContain("this API server does not describe plans");
  });

  test("--explain lists candidates and what was dropped", async () => {
    const candidates = [
      { ...chosen, rank: 1, note: "chosen" },
      { ...chosen, infra: "AWS (us-east-2)", rank: 2, note: null, usd_per_hour: null, priced_at: null },
    ];
    const rejected = [
      { infra: "AWS", what: "m6i.2xlarge in eu-south-2", reason: "price unknown" },
      { infra: "Local", what: "", reason: "is used only when it is asked for: --infra local" },
    ];
    givesPlan({ candidates, rejected });
    const { out } = await sky(["launch", "--dryrun", "--explain", "echo hi"], { server });
    expect(out.slice(out.indexOf("Candidates"))).toMatchInlineSnapshot(`
      "Candidates (2), in the order in which a launch tries them:
      RANK  INFRA            INSTANCE     vCPUs  Mem(GB)  GPUS  $/HR   PRICED      NOTE    
      1     AWS (us-east-1)  m6i.2xlarge  8      32       -     0.768  2026-07-20  chosen  
      2     AWS (us-east-2)  m6i.2xlarge  8      32       -     -      -                   
      Dropped (2):
        AWS: m6i.2xlarge in eu-south-2: price unknown
        Local: is used only when it is asked for: --infra local
      "
    `);
    expect(server.bodies("/launch")).toMatchObject([{ dryrun: true, explain: true }]);
    const { code, err } = await sky(["launch", "--explain", "echo hi"], { server });
    expect([code, err]).toEqual([2, expect.stringContaining("--explain needs --dryrun.")]);
  });
});

const budget = { ...plan.budgets[0], is_complete: true, created_by: "alice", created_at: 1_790_000_000 };

describe("sky budget", () => {
  test("set sends what was given, and shows the budget", async () => {
    server.routes["POST /budget_set"] = gives(budget, "");
    const { code, out } = await sky(
      ["budget", "set", "team", "--limit", "100", "--workspace", "default", "--action", "stop"],
      { server },
    );
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "Budget set.
      NAME  SCOPE              PER    LIMIT    SPENT         NOW       PROJECTED  ACTION  REACHED               
      team  workspace default  month  $100.00  $42.10 (42%)  $0.83/hr  $188.50    stop    2026-11-18 11:06 UTC  
      "
    `);
    expect(server.bodies("/budget_set")).toMatchObject([
      { name: "team", scope: "workspace", scope_value: "default", limit_usd: 100, period: null, action: "stop" },
    ]);
  });

  test("ls shows those that are used up, and JSON", async () => {
    server.routes["POST /budget_list"] = gives([{ ...budget, spent_usd: 120, is_complete: false }], "");
    expect((await sky(["budget", "ls"], { server })).out).toContain("≥ $120.00 (120%)");
    const { out } = await sky(["budget", "ls", "-o", "json"], { server });
    expect(JSON.parse(out)).toMatchObject([{ name: "team", spent_usd: 120 }]);
    server.routes["POST /budget_list"] = gives([], "");
    expect((await sky(["budget", "ls"], { server })).out).toBe(
      "No budgets. Make one: sky budget set NAME --limit USD\n",
    );
  });

  test("delete asks", async () => {
    server.routes["POST /budget_delete"] = gives(null, "");
    const { err, out } = await sky(["budget", "delete", "team", "x"], { server, answers: ["y"] });
    expect(err).toBe("Deleting 2 budgets: team, x. Proceed? [Y/n]: ");
    expect(out).toBe("Budget team deleted.\nBudget x deleted.\n");
    expect(server.bodies("/budget_delete").map((body) => body["name"])).toEqual(["team", "x"]);
  });

  test("only one scope may be given", async () => {
    const { code, err } = await sky(["budget", "set", "b", "--limit", "1", "--user", "a", "--everything"], { server });
    expect([code, err]).toEqual([
      2,
      expect.stringContaining("Give one of --user, --workspace, --label and --everything."),
    ]);
  });
});

const record = (name: string, fields: Readonly<Record<string, unknown>>) => ({
  name,
  launched_at: 1_000_000,
  duration: 7200,
  num_nodes: 1,
  resources: {},
  status: "UP",
  total_cost: 2.5,
  cost_per_hour: 1,
  cost_details: { instances: 2, disks: 0.4, ips: 0.1, is_complete: true },
  user_name: "alice",
  workspace: "default",
  labels: { team: "red" },
  resources_str_full: "1x(cpus=2)",
  ...fields,
});

describe("sky cost-report", () => {
  beforeEach(() => {
    server.routes["POST /cost_report"] = gives(
      [
        record("a", {}),
        record("b", { user_name: "bob", labels: {}, status: null }),
        record("c", { total_cost: 10, status: "STOPPED", cost_per_hour: 0.1 }),
      ],
      "",
    );
  });

  test("sums up by label, the dearest first", async () => {
    const { out } = await sky(["cost-report", "--by", "label=team"], { server });
    expect(out).toMatchInlineSnapshot(`
      "Clusters (last 30 days)
      TEAM  CLUSTERS  LIVE  COST/hr  INSTANCES  DISKS   IPv4    COST (est.)  
      red   2         2     $ 1.10   $ 4.00     $ 0.80  $ 0.20  $ 12.50      
      -     1         0     $ 0.00   $ 2.00     $ 0.40  $ 0.10  $ 2.50       

      Total Cost: $15.00 (disks $1.20, public IPv4 $0.30)
      This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.
      "
    `);
  });

  test("narrows down to a user or a label, and gives sums as JSON", async () => {
    const { out } = await sky(["cost-report", "--user", "bob"], { server });
    expect(out).toContain("Total Cost: $2.50 (");
    const { out: json } = await sky(["cost-report", "--label", "team=red", "--by", "user", "-o", "json"], { server });
    expect(JSON.parse(json)).toMatchObject([{ key: "alice", clusters: 2, total_cost: 12.5 }]);
  });

  test.each([
    [["--by", "colour"], "--by needs user, workspace, infra or label=KEY."],
    [["--label", "team"], "--label needs key=value."],
  ])("%j is a mistake", async (args, message) => {
    const { code, err } = await sky(["cost-report", ...args], { server });
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});
