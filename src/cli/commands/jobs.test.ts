import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterRecord, jobRecord, listsClusters } from "../../../test/fakes/records.ts";
import { sky } from "../../../test/fakes/run-cli.ts";
import { control, fails, gives, WireServer, type Handler } from "../../../test/fakes/wire-server.ts";

let server: WireServer;

/** `/logs`: streams at once, its id is asked for the exit code. */
function streams(text: string, exitCode: number): Record<string, Handler> {
  return {
    "POST /logs": (_call, response) => {
      response.setHeader("X-SkyPilot-Job-ID", "1");
      response.setHeader("X-SkyPilot-Log-Offset", "0");
      response.end(text);
      return undefined;
    },
    "GET /api/get": (_call, response) => {
      const payload = { request_id: "r", status: "SUCCEEDED", return_value: String(exitCode), error: "null" };
      response.end(JSON.stringify(payload));
      return undefined;
    },
  };
}

beforeEach(async () => {
  server = await WireServer.start({
    routes: {
      "POST /status": listsClusters([clusterRecord({ name: "a" }), clusterRecord({ name: "b", status: "STOPPED" })]),
      "POST /queue": gives([
        jobRecord({ job_id: 3, resources: "1x[A100:8]", metadata: { git_commit: "7e595970a806" } }),
        jobRecord({ job_id: 2, status: "SUCCEEDED", end_at: 1_000_200, job_name: "sky-cmd" }),
        jobRecord({ job_id: 1, status: "FAILED_SETUP", start_at: null, job_name: null }),
      ]),
    },
  });
});

afterEach(async () => {
  await server.stop();
});

describe("sky queue", () => {
  test("lists the jobs of clusters that are up", async () => {
    const result = await sky(["queue"], { server, now: 1_000_028 });
    expect(result).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "",
        "out": "Fetching and parsing job queue...
      Fetching job queue for: a

      Job queue of current user on cluster a
      ID  NAME     USER   SUBMITTED    STARTED      DURATION  RESOURCES    STATUS        LOG                 GIT COMMIT    
      3   train    alice  28 secs ago  18 secs ago  18s       1x[A100:8]   RUNNING       ~/sky_logs/3-train  7e595970a806  
      2   sky-cmd  alice  28 secs ago  18 secs ago  3m 10s    1x[CPU:0.5]  SUCCEEDED     ~/sky_logs/2-train  -             
      1   -        alice  28 secs ago  -            -         1x[CPU:0.5]  FAILED_SETUP  ~/sky_logs/1-train  -             
      ",
      }
    `);
  });

  test("a cluster that does not exist ends with 1, the others are shown", async () => {
    server.routes["POST /queue"] = (call) =>
      call.body["cluster_name"] === "a"
        ? { value: [] }
        : { error: { type: "ClusterDoesNotExist", message: "Cluster 'x' does not exist." } };
    const { code, out, err } = await sky(["queue", "a", "x"], { server });
    expect(code).toBe(1);
    expect(out).toContain("Job queue of current user on cluster a\n");
    expect(err).toMatchInlineSnapshot(`
      "error: failed to get the job queue for cluster 'x'.
        Cluster 'x' does not exist.
      "
    `);
  });

  test("-o json is one object", async () => {
    const { out, err } = await sky(["queue", "a", "-o", "json", "-s", "-u"], { server });
    expect(err).toBe("");
    expect(Object.keys(JSON.parse(out) as object)).toEqual(["a"]);
    expect(server.bodies("/queue")).toMatchObject([{ cluster_name: "a", skip_finished: true, all_users: true }]);
  });
});

describe("sky logs", () => {
  test("streams the latest job and ends with its exit code", async () => {
    const finished = control("<job_finished>FAILED</job_finished>");
    Object.assign(
      server.routes,
      streams(`├── Waiting\n(t, pid=1) hi\n${control("<heartbeat></heartbeat>")}${finished}`, 100),
    );
    expect(await sky(["logs", "a"], { server })).toMatchInlineSnapshot(`
      {
        "code": 100,
        "err": "Tailing logs of the last job on cluster 'a'...
      Showing the last 1000 lines (default). Pass --tail 0 to print the entire log.
      ",
        "out": "├── Waiting
      (t, pid=1) hi
      ✓ Job finished (status: FAILED).
      ",
      }
    `);
    expect(server.bodies("/logs")).toMatchObject([
      { cluster_name: "a", job_id: null, follow: true, tail: 1000, log_offset: -1 },
    ]);
  });

  test("a job that does not exist", async () => {
    Object.assign(server.routes, streams(control("<job_finished></job_finished>"), 102));
    const { code, out, err } = await sky(["logs", "a", "99", "--tail", "5"], { server });
    expect({ code, out }).toEqual({ code: 102, out: "" });
    expect(err).toContain("Job 99 not found (see `sky queue`).\n");
  });

  test("output of the job passes byte for byte", async () => {
    Object.assign(server.routes, streams("\u001B[36m(t)\u001B[0m 50%\r100%\r\nü", 0));
    const { code, out } = await sky(["logs", "a", "7", "--tail", "0"], { server });
    expect({ code, out }).toEqual({ code: 0, out: "\u001B[36m(t)\u001B[0m 50%\r100%\r\nü\n" });
  });

  test("--status tells the state by text and exit code", async () => {
    for (const [status, code] of [
      ["SUCCEEDED", 0],
      ["FAILED", 100],
      ["RUNNING", 101],
      ["CANCELLED", 103],
    ] as const) {
      server.routes["POST /job_status"] = gives({ "3": status });
      expect(await sky(["logs", "a", "--status"], { server })).toEqual({ code, out: `Job 3: ${status}\n`, err: "" });
    }
    server.routes["POST /job_status"] = gives({});
    expect(await sky(["logs", "a", "--status"], { server })).toEqual({
      code: 102,
      out: "",
      err: "No job found on cluster 'a'.\n",
    });
  });

  test.each([
    [["logs"]],
    [["logs", "a", "x"]],
    [["logs", "a", "1", "2"]],
    [["logs", "a", "-w", "1"]],
    [["logs", "a", "--provision", "-w", "0"]],
    [["logs", "a", "--provision", "--hook", "stop"]],
    [["logs", "a", "--provision", "3"]],
    [["logs", "a", "--hook", "stop", "-s"]],
    [["logs", "a", "-s", "--status"]],
  ])("sky %s is a usage error", async (argv) => {
    const { code, err } = await sky(argv, { server });
    expect(code).toBe(2);
    expect(err.slice(err.indexOf("Error:"))).toMatchSnapshot();
  });

  test("--provision streams without a request", async () => {
    server.routes["POST /provision_logs"] = (_call, response) => {
      response.end("provisioning\n");
      return undefined;
    };
    expect(await sky(["logs", "--provision", "a", "--no-follow"], { server })).toEqual({
      code: 0,
      out: "provisioning\n",
      err: "",
    });
    expect(server.calls.at(-1)?.query.get("follow")).toBe("False");
  });
});

describe("sky cancel", () => {
  beforeEach(() => {
    server.routes["POST /cancel"] = () => ({ log: "Cancelled job ID(s): 3\n" });
  });

  test("the latest job, after a question", async () => {
    expect(await sky(["cancel", "a"], { server, answers: ["yes"] })).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "No job IDs or --all/--all-users provided; cancelling the latest running job.
      Cancelling the latest running job on cluster(s): a. Proceed? [Y/n]: ",
        "out": "Cancelled job ID(s): 3
      ",
      }
    `);
    expect(server.bodies("/cancel")).toMatchObject([{ cluster_name: "a", job_ids: null, all: false }]);
  });

  test("jobs by id, all jobs, and by a glob", async () => {
    await sky(["cancel", "-y", "a", "1", "2"], { server });
    await sky(["cancel", "-y", "a", "-a"], { server });
    await sky(["cancel", "-y", "*", "-u"], { server });
    expect(server.bodies("/cancel").map((body) => [body["cluster_name"], body["job_ids"], body["all"]])).toEqual([
      ["a", [1, 2], false],
      ["a", null, true],
      ["a", null, false],
      ["b", null, false],
    ]);
  });

  test("what does not fit together", async () => {
    expect((await sky(["cancel", "-y", "*", "1"], { server })).err).toContain(
      "Error: Cannot specify job IDs when cluster pattern matches multiple clusters. Pattern '*' matches: a, b",
    );
    expect((await sky(["cancel", "-y", "x*"], { server })).code).toBe(2);
    expect((await sky(["cancel", "-y", "x"], { server })).code).toBe(1);
  });
});

describe("sky check", () => {
  test("prints what the server says, its colours only on a terminal", async () => {
    server.routes["POST /check"] = gives({ default: { AWS: ["compute"] } }, "  \u001B[32mAWS: enabled\u001B[0m\n");
    expect((await sky(["check", "aws", "-v"], { server })).out).toBe(
      `  AWS: enabled\n\nUsing SkyPilot API server: ${server.url}\n`,
    );
    expect((await sky(["check"], { server, env: { FORCE_COLOR: "1" } })).out).toContain("\u001B[32mAWS");
    expect((await sky(["check", "-o", "json"], { server })).out).toBe(
      `${JSON.stringify({ default: { AWS: ["compute"] } }, undefined, 2)}\n`,
    );
    expect(server.bodies("/check")[0]).toMatchObject({ clouds: ["aws"], verbose: true });
  });

  test("the server's error is the command's", async () => {
    server.routes["POST /check"] = fails("ValueError", "Cloud 'foo' is not a valid cloud among ['aws']");
    expect(await sky(["check", "foo"], { server })).toEqual({
      code: 1,
      out: "",
      err: "error: Cloud 'foo' is not a valid cloud among ['aws']\n",
    });
    const debug = await sky(["check", "foo"], { server, env: { SKYPILOT_DEBUG: "1" } });
    expect(debug.err).toContain("error: ValueError: Cloud 'foo'");
  });
});

describe("sky cost-report", () => {
  test("lists live clusters first and sums up", async () => {
    const row = { launched_at: 1_000_000, num_nodes: 1, resources: null, resources_str_full: "1x AWS(m6i.large)" };
    server.routes["POST /cost_report"] = gives([
      { ...row, name: "old", duration: 3600, status: null, total_cost: 0.1 },
      { ...row, name: "live", duration: 14, status: "INIT", total_cost: 0.0004, cost_per_hour: 0.1 },
    ]);
    expect((await sky(["cost-report"], { server, now: 1_000_014 })).out).toMatchInlineSnapshot(`
      "Clusters (last 30 days)
      NAME  LAUNCHED     DURATION  RESOURCES          STATUS      COST/hr  COST (est.)  
      live  14 secs ago  14s       1x AWS(m6i.large)  INIT        $ 0.10   $ 0.00       
      old   14 secs ago  1h        1x AWS(m6i.large)  TERMINATED  $ 0.10   $ 0.10       

      Total Cost: $0.10
      Showing up to 5 most recent clusters. To see all clusters in history, pass the --all flag.
      This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.
      "
    `);
    expect(server.bodies("/cost_report")).toMatchObject([{ days: 30 }]);
  });
});
