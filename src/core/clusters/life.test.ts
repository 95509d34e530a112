import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { waitFor } from "../../../test/fakes/wait-for.ts";
import { OperationFailedError, RequestCancelledError } from "../../shared/errors.ts";
import { saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import { findStorage, insertStorage } from "../../db/queries/storage.ts";
import { autostopOperation } from "./autostop.ts";
import { costReportOperation } from "./cost-report.ts";
import { endpointsOperation } from "./endpoints.ts";
import { clusterEventsOperation } from "./events.ts";
import { cancelOperation, jobStatusOperation, queueOperation } from "./jobs.ts";
import { hookLogsOperation } from "./hook-logs.ts";
import { launchOperation } from "./launch.ts";
import { streamJobLogs } from "./logs.ts";
import { findProvisionLog } from "./provision-log.ts";
import { startOperation } from "./start.ts";
import { statusOperation } from "./status.ts";
import { downOperation, stopOperation } from "./stop.ts";
import { databaseKinds, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";

describe.each(databaseKinds)("on %s", (kind) => {
  let world: FakeWorld;

  beforeEach(async () => {
    world = await createFakeWorld({}, { kind });
  }, POSTGRES_START_MS);

  afterEach(async () => {
    await world.close();
    expect(world.backgroundErrors).toEqual([]);
  });

  const nameOnCloud = "c1-0a1b2c3d";
  const headRoot = `/fake/${nameOnCloud}/0`;

  async function launch(fields = "run: echo hi", resources?: string, requestId = "launch") {
    return world.run(launchOperation, { task: taskYaml(fields, resources), cluster_name: "c1" }, { requestId });
  }

  async function waitForStatus(status: string | undefined): Promise<void> {
    while ((await world.cluster("c1"))?.status !== status) await new Promise((resolve) => setImmediate(resolve));
  }

  describe("stop and down", () => {
    test("end the jobs with the hooks of their kind", async () => {
      await launch();
      await world.run(stopOperation, { cluster_name: "c1" });
      await world.run(startOperation, { cluster_name: "c1" });
      await world.run(downOperation, { cluster_name: "c1" });
      expect(world.fleet.head(nameOnCloud).shutdowns.map(({ jobs, hookEvent }) => [jobs, hookEvent])).toEqual([
        ["kill", "stop"],
        ["kill", "down"],
      ]);
      expect(world.cloud.ledger()).toEqual({});
    });

    test("cancel other requests on the cluster before they wait for the lock", async () => {
      const abort = new AbortController();
      world.cloud.knobs.settings = { running_after: Infinity };
      const launching = world.run(
        launchOperation,
        { task: taskYaml("run: a"), cluster_name: "c1" },
        { requestId: "launch", signal: abort.signal },
      );
      launching.catch(() => undefined);
      await waitForStatus("INIT");
      await world.run(
        downOperation,
        { cluster_name: "c1" },
        {
          cancelOthers: () => {
            abort.abort(new RequestCancelledError("Cancelled by sky down."));
            return Promise.resolve(["launch"]);
          },
        },
      );
      await expect(launching).rejects.toThrow("Cancelled by sky down.");
      expect(await world.clusters()).toEqual([]);
      expect(world.cloud.ledger()).toEqual({});
    });

    test("of a cluster whose agent is gone are done by its cloud", async () => {
      await launch();
      world.fleet.unreachable.add(headRoot);
      world.fleet.disconnect(headRoot);
      await world.run(downOperation, { cluster_name: "c1" });
      expect(world.cloud.ledger()).toEqual({});
    });

    test.each([
      [stopOperation, "stays on the nodes' disks, and is sent after: sky start c1"],
      [downOperation, "is lost."],
    ])("of which $name cannot ask what waits for its upload say what becomes of it", async (operation, fate) => {
      await launch();
      const hash = (await world.cluster("c1"))?.cluster_hash ?? "";
      for (const [dest, isReadOnly] of [
        ["~/read", true],
        ["~/written", false],
      ] as const) {
        const spec = JSON.stringify({ dest, bucket: "b", isReadOnly });
        await saveClusterMount(world.database.db, { cluster_hash: hash, dest, store: "S3", spec, replaces: null });
      }
      world.fleet.unreachable.add(headRoot);
      world.fleet.disconnect(headRoot);
      const { log } = await world.run(operation, { cluster_name: "c1" });
      const told = log.plain().filter((line) => line.startsWith("WARNING:"));
      expect(told).toEqual([expect.stringMatching(/ What was not uploaded yet of ~\/written /u)]);
      expect(told[0]).toContain(fate);
    });

    test("down fails with the cloud's error and keeps the row; --purge forgets it", async () => {
      await launch();
      const refusal = (): OperationFailedError => new OperationFailedError("The cloud says no.");
      world.cloud.knobs.failBefore.terminate = [refusal(), refusal()];
      await expect(world.run(downOperation, { cluster_name: "c1" })).rejects.toThrow("The cloud says no.");
      expect(await world.clusters()).toHaveLength(1);
      const { log } = await world.run(downOperation, { cluster_name: "c1", purge: true });
      expect(log.plain()).toEqual([
        "WARNING: The cloud says no.",
        "WARNING: The cluster is forgotten all the same. Make sure resources are manually deleted.",
      ]);
      expect(await world.clusters()).toEqual([]);
    });

    test("a cancelled launch keeps its row, which says that nobody works on it", async () => {
      const abort = new AbortController();
      world.cloud.knobs.settings = { running_after: Infinity };
      const launching = world.run(
        launchOperation,
        { task: taskYaml("run: a"), cluster_name: "c1" },
        { signal: abort.signal },
      );
      launching.catch(() => undefined);
      await waitForStatus("INIT");
      // Looked at in every turn: by the hurried clock the ten minutes for nodes are over within two looks of expect.poll.
      while (world.cloud.created === 0) await new Promise((resolve) => setImmediate(resolve));
      abort.abort(new RequestCancelledError("Cancelled."));
      await expect(launching).rejects.toThrow("Cancelled.");
      const { result } = await world.run(statusOperation, {});
      expect(result).toMatchObject([{ status: "INIT", init_kind: "unhealthy" }]);
      expect(Object.keys(world.cloud.ledger())).toEqual([nameOnCloud]);
      world.cloud.knobs.settings = {};
      await world.run(downOperation, { cluster_name: "c1" });
      expect(world.cloud.ledger()).toEqual({});
    });

    test("need a cluster", async () => {
      await expect(world.run(downOperation, { cluster_name: "no" })).rejects.toThrow("Cluster 'no' does not exist.");
    });

    test("starting an UP cluster changes nothing", async () => {
      await launch();
      const { log } = await world.run(startOperation, { cluster_name: "c1" });
      expect(log.plain()).toEqual(["Cluster c1 already has status UP."]);
    });
  });

  describe("a cluster that stops itself", () => {
    test("is AUTOSTOPPING from the agent's event on and STOPPED when its nodes are", async () => {
      await launch();
      const head = world.fleet.head(nameOnCloud);
      head.isAutostopping = true;
      head.push({ type: "autostopping", down: false });
      await waitForStatus("AUTOSTOPPING");
      world.cloud.setState(nameOnCloud, 0, "stopped");
      world.fleet.kill(headRoot);
      await waitForStatus("STOPPED");
      expect(await world.cluster("c1")).toMatchObject({ autostop: -1, to_down: 0 });
    });

    test("is gone, with everything of it, when it took itself down", async () => {
      await launch();
      world.fleet.head(nameOnCloud).push({ type: "autostopping", down: true });
      await waitForStatus("AUTOSTOPPING");
      world.cloud.setState(nameOnCloud, 0, "terminated");
      world.fleet.kill(headRoot);
      await waitForStatus(undefined);
      expect(world.cloud.ledger()).toEqual({});
    });

    test.each([true, false])(
      "leaves the buckets that were to go with it unless it did so itself: %s",
      async (isOwnEnd) => {
        await launch();
        await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 1, down: true });
        const { cluster_hash = "" } = (await world.cluster("c1")) ?? {};
        const of = { store: "S3", region: "r", status: "READY", launched_at: 1, last_use: null, handle: "{}" } as const;
        const whose = { user_hash: "u", workspace: "default", cluster_hash };
        await insertStorage(world.database.db, { name: "b", ...of, ...whose });
        if (isOwnEnd) world.fleet.head(nameOnCloud).push({ type: "autostopping", down: true });
        if (isOwnEnd) await waitForStatus("AUTOSTOPPING");
        world.cloud.setState(nameOnCloud, 0, "terminated");
        world.fleet.kill(headRoot);
        await waitForStatus(undefined);
        expect((await findStorage(world.database.db, "b"))?.cluster_hash).toBe(isOwnEnd ? cluster_hash : null);
      },
    );

    test("says what is lost with it where it is read when the cluster is gone", async () => {
      await launch();
      const head = world.fleet.head(nameOnCloud);
      head.push({ type: "autostopping", down: true });
      head.push({ type: "lost", node: 1, what: "a.txt of ~/ckpt is not in s3://b." });
      const told = "WARNING: a.txt of ~/ckpt is not in s3://b. It is lost with node 1.";
      const log = await findProvisionLog(world.database.db, "c1");
      await waitFor("the line", () => readFileSync(log ?? "", "utf8").endsWith(` ${told}\n`));
      world.cloud.setState(nameOnCloud, 0, "terminated");
      world.fleet.kill(headRoot);
      await waitForStatus(undefined);
      const { result } = await world.run(clusterEventsOperation, { cluster_name: "c1", event_type: "STATUS_CHANGE" });
      expect(result.slice(-3, -1)).toEqual(["Cluster is autodowning.", told]);
    });

    test("a launch waits for it and then starts it again", async () => {
      await launch();
      world.fleet.head(nameOnCloud).push({ type: "autostopping", down: false });
      await waitForStatus("AUTOSTOPPING");
      const again = launch("run: b", undefined, "again");
      world.cloud.setState(nameOnCloud, 0, "stopped");
      world.fleet.kill(headRoot);
      const { log, result } = await again;
      expect(log.plain()[0]).toBe("Autostop completed. Cluster status: STOPPED");
      expect(result.job_id).toBe(2);
    });

    test("a lost connection is no lost cluster: it is opened again", async () => {
      await launch();
      world.fleet.disconnect(headRoot);
      const head = world.fleet.head(nameOnCloud);
      await new Promise((resolve) => setImmediate(resolve));
      head.push({ type: "autostopping", down: false });
      await waitForStatus("AUTOSTOPPING");
    });
  });

  describe("status", () => {
    test("answers from the rows, with globs, and names what is missing", async () => {
      await launch();
      const { result, log } = await world.run(statusOperation, { cluster_names: ["c*", "nosuch"] });
      expect(log.plain()).toEqual(["Cluster(s) not found: nosuch."]);
      expect(result).toMatchObject([
        {
          name: "c1",
          status: "UP",
          nodes: 1,
          autostop: -1,
          cloud: "Fake",
          region: "east",
          resources_str: "1x(cpus=4, mem=16, fake.large, ...)",
          resources_str_full: "1x(cpus=4, mem=16, fake.large)",
          last_event: "Cluster successfully provisioned with 1 node",
        },
      ]);
      expect(Number.isInteger(result[0]?.launched_at)).toBe(true);
      expect(
        (await world.run(statusOperation, { include_handle: false, summary_response: true })).result[0],
      ).not.toHaveProperty("handle");
    });

    test.each([
      ["all nodes gone", ["terminated", "terminated"], undefined],
      ["all nodes stopped", ["stopped", "stopped"], "STOPPED"],
      ["one node gone", ["running", "terminated"], "INIT"],
      ["nothing", ["running", "running"], "UP"],
    ] as const)("with --refresh sees %s", async (_, states, expected) => {
      await launch("num_nodes: 2\nrun: a");
      states.forEach((state, index) => world.cloud.setState(nameOnCloud, index, state));
      const { result } = await world.run(statusOperation, { refresh: "FORCE" });
      expect(result.map((record) => record.status)).toEqual(expected === undefined ? [] : [expected]);
      if (expected === "INIT") expect(result[0]).toMatchObject({ init_kind: "unhealthy" });
    });

    test("an unreachable agent does not make a healthy cluster INIT", async () => {
      await launch();
      world.fleet.unreachable.add(headRoot);
      world.fleet.disconnect(headRoot);
      const { result } = await world.run(statusOperation, { refresh: "FORCE" });
      expect(result[0]?.status).toBe("UP");
      expect((await world.cluster("c1"))?.phase).toBe("unreachable");
    });

    test("a cloud that cannot be asked leaves the row as it is and says so", async () => {
      await launch();
      world.cloud.knobs.failBefore.query = [new OperationFailedError("Throttled.")];
      const { result, log } = await world.run(statusOperation, { refresh: "FORCE" });
      expect(result[0]?.status).toBe("UP");
      expect(log.plain()).toEqual(["Failed to refresh the status of cluster 'c1': Throttled."]);
    });
  });

  describe("jobs", () => {
    test("queue, status and cancel", async () => {
      await launch();
      await launch("run: b", undefined, "second");
      const { result: queue } = await world.run(queueOperation, { cluster_name: "c1" });
      expect(queue.map(({ job_id, job_name, status, log_path }) => [job_id, job_name, status, log_path])).toEqual([
        [2, "hello", "RUNNING", "~/sky_logs/2-hello"],
        [1, "hello", "RUNNING", "~/sky_logs/1-hello"],
      ]);
      const ids = { cluster_name: "c1", job_ids: [1, 9] };
      expect((await world.run(jobStatusOperation, ids)).result).toEqual({ "1": "RUNNING", "9": null });
      const { log } = await world.run(cancelOperation, { cluster_name: "c1" });
      expect(log.plain()).toEqual(["Cancelling latest running job on cluster 'c1'...", "Cancelled job ID(s): 2"]);
      expect((await world.run(cancelOperation, ids)).log.plain()).toEqual([
        "Cancelling jobs (1, 9) on cluster 'c1'...",
        "Cancelled job ID(s): 1",
      ]);
      expect((await world.run(cancelOperation, { cluster_name: "c1", all: true })).log.plain().at(-1)).toBe(
        "No jobs cancelled. They may be in terminal states.",
      );
    });

    test.each([
      [{ job_id: 1 }, "log of 1\n", 101, undefined],
      [{ job_id: 1, follow: false }, "log of 1\n", 0, undefined],
      [{ job_id: 1, log_offset: 4 }, "of 1\n", 101, undefined],
      [{ job_id: 9 }, "", 102, "Job 9 not found (see `sky queue`)."],
    ])("logs of %j", async (body, text, exitCode, trailer) => {
      await launch();
      const context = await world.server().context("logs");
      const stream = await streamJobLogs({ cluster_name: "c1", ...body }, context);
      let seen = "";
      for await (const chunk of stream.chunks) seen += Buffer.from(chunk).toString();
      expect(seen).toBe(text);
      expect(await stream.end).toMatchObject({ exitCode, trailer });
    });
  });

  test("hook logs are what the head has of them", async () => {
    await launch();
    const { result, log } = await world.run(hookLogsOperation, { cluster_name: "c1", event: "stop" });
    expect(result).toBe(0);
    expect(log.plain()).toEqual(["ran on 0", "abc123"]);
  });

  describe("autostop", () => {
    test("cancels with a negative time and refuses a cluster that is not up", async () => {
      await launch();
      await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 5, down: true });
      expect(await world.cluster("c1")).toMatchObject({ autostop: 5, to_down: 1 });
      await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: -1 });
      expect(await world.cluster("c1")).toMatchObject({ autostop: -1, to_down: 0 });
      await world.run(stopOperation, { cluster_name: "c1" });
      await expect(world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 5 })).rejects.toThrow(
        "its status is STOPPED",
      );
    });
  });

  describe("ownership", () => {
    test("another workspace and another account are refused", async () => {
      world.cloud.knobs.identity = ["user-1", "account-1"];
      await launch();
      world.cloud.knobs.identity = ["user-2", "account-2"];
      await expect(world.run(stopOperation, { cluster_name: "c1" })).rejects.toThrow(
        "'c1' (Fake) is owned by account ['user-1', 'account-1'], but the activated identity is ['user-2', 'account-2'].",
      );
      world.cloud.knobs.identity = ["user-2", "account-1"];
      const row = await world.cluster("c1");
      await updateCluster(world.database.db, row?.cluster_hash ?? "", { workspace: "other" });
      await expect(world.run(stopOperation, { cluster_name: "c1" })).rejects.toThrow(
        "The cluster 'c1' is in workspace 'other', but the active workspace is 'default'.",
      );
    });
  });

  describe("records", () => {
    test("costs count the time between start and stop, also of clusters that are gone", async () => {
      await launch();
      await world.run(stopOperation, { cluster_name: "c1" });
      await world.run(startOperation, { cluster_name: "c1" });
      await world.run(downOperation, { cluster_name: "c1" });
      const { result } = await world.run(costReportOperation, { days: 30 });
      expect(result).toMatchObject([{ name: "c1", status: null, num_nodes: 1, resources: { infra: "lambda/east" } }]);
      expect(result[0]?.usage_intervals).toHaveLength(2);
      expect(result[0]?.usage_intervals.every(([, end]) => end !== null)).toBe(true);
    });

    test("events tell the story, and the provision log stays", async () => {
      await launch();
      await world.run(downOperation, { cluster_name: "c1" });
      const { result } = await world.run(clusterEventsOperation, { cluster_name: "c1", event_type: "STATUS_CHANGE" });
      expect(result).toEqual([
        "Provisioning on Fake (east)",
        "Setting up SkyPilot runtime on cluster",
        "Cluster successfully provisioned with 1 node",
        "Terminating the cluster.",
        "Cluster was terminated by the user.",
      ]);
      expect(await findProvisionLog(world.database.db, "c1")).toMatch(/\/sky_logs\/sky-[-\d]+\/provision\.log$/);
      await expect(world.run(clusterEventsOperation, { cluster_name: "c1", event_type: "FOO" })).rejects.toThrow(
        "Invalid event type 'FOO'.",
      );
    });

    test("endpoints are the ports of the head node; a later launch may open more", async () => {
      await launch("run: a", "infra: lambda\nports: 8000-8001");
      expect((await world.run(endpointsOperation, { cluster: "c1" })).result).toEqual({
        "8000": "http://127.78.1.2:8000",
        "8001": "http://127.78.1.2:8001",
      });
      await expect(world.run(endpointsOperation, { cluster: "c1", port: 9 })).rejects.toThrow("Port 9 is not exposed");
      await launch("run: a", "infra: lambda\nports: 9000", "more");
      expect(world.cloud.openedPorts(nameOnCloud)).toEqual(["8000-8001", "9000"]);
      expect((await world.run(endpointsOperation, { cluster: "c1", port: 9000 })).result).toEqual({
        "9000": "http://127.78.1.2:9000",
      });
    });
  });
});
