import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { AgentError, NoCapacityError } from "../../shared/errors.ts";
import { execOperation } from "./exec.ts";
import { cancelOperation } from "./jobs.ts";
import { launchOperation } from "./launch.ts";
import { stopOperation } from "./stop.ts";
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

  function launch(body: Partial<Parameters<typeof launchOperation.run>[0]> = {}) {
    const task = taskYaml("run: echo hi", "infra: lambda");
    return world.run(launchOperation, { task, cluster_name: "c1", ...body });
  }

  const nameOnCloud = "c1-0a1b2c3d";

  describe("a new cluster", () => {
    test("goes to the cheapest place, is UP in the end, and gets the job once", async () => {
      const { result, log } = await launch({ entrypoint_command: "sky launch -c c1 task.yaml" });
      expect(log.plain()).toEqual(
        [
          "Considered resources (1 node):",
          "-------------------------------------------------------------------------------",
          " INFRA         INSTANCE     vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ",
          "-------------------------------------------------------------------------------",
          " Fake (east)   fake.large   4       16        -      1.00          ✔     ",
          "-------------------------------------------------------------------------------",
          "⚙︎ Launching on Fake east.",
          "└── Instance is up.",
          "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
          "⚙︎ Job submitted, ID: 1",
        ].map((line) => (line.startsWith("---") ? expect.stringMatching(/^-+$/) : line)),
      );
      expect(result).toMatchObject({
        job_id: 1,
        handle: {
          cluster_name: "c1",
          cluster_name_on_cloud: nameOnCloud,
          launched_nodes: 1,
          launched_resources: { infra: "lambda/east", instance_type: "fake.large", cpus: "4", memory: "16" },
          stable_internal_external_ips: [["127.78.1.2", "127.78.1.2"]],
        },
      });
      expect(await world.cluster("c1")).toMatchObject({
        status: "UP",
        phase: "ready",
        cluster_ever_up: 1,
        last_use: "sky launch -c c1 task.yaml",
        busy_request: null,
      });
      expect(world.fleet.head(nameOnCloud).submissions).toMatchObject([
        { name: "hello", run: "echo hi", numNodes: 1, resourcesText: "1x[CPU:1+]", userName: "alice" },
      ]);
    });

    test("has its workers connected before the job is submitted", async () => {
      await launch({ task: taskYaml("num_nodes: 3\nrun: echo hi") });
      expect(world.fleet.running()).toHaveLength(3);
      expect(world.cloud.ledger()[nameOnCloud]).toHaveLength(3);
    });

    test("is launched in spite of a cloud that shows instances late", async () => {
      world.cloud.knobs.settings = { visible_after: 3, running_after: 5 };
      const { result } = await launch();
      expect(result.job_id).toBe(1);
    });

    test("without run and setup has no job", async () => {
      const { result, log } = await launch({ task: taskYaml("num_nodes: 1") });
      expect(result.job_id).toBeNull();
      expect(log.plain().at(-1)).toBe("Run commands not specified or empty.");
    });

    test("with setup says so, and --no-setup leaves it out", async () => {
      const task = taskYaml("setup: make\nrun: echo hi");
      expect((await launch({ task })).log.plain()).toContain("✓ Setup detached.");
      expect((await launch({ task, no_setup: true })).log.plain()).toContain("Setup commands skipped.");
      expect(world.fleet.head(nameOnCloud).submissions.map((one) => one.setup)).toEqual(["make", undefined]);
    });

    test.each([
      [{ down: true }, { idleMinutes: 1, down: true, waitFor: "jobs_and_ssh" }],
      [{ idle_minutes_to_autostop: 7 }, { idleMinutes: 7, down: false, waitFor: "jobs_and_ssh" }],
      [
        { idle_minutes_to_autostop: 0, wait_for: "none" as const },
        { idleMinutes: 1, down: false, waitFor: "none" },
      ],
    ])("%j sets the autostop %j", async (flags, expected) => {
      await launch(flags);
      expect(world.fleet.head(nameOnCloud).autostop).toMatchObject(expected);
      expect(await world.cluster("c1")).toMatchObject({
        autostop: expected.idleMinutes,
        to_down: expected.down ? 1 : 0,
      });
    });

    test("keeps secrets out of the row and gives them to the agent", async () => {
      await launch({ task: taskYaml("secrets:\n  TOKEN: s3cr3t-value\nrun: echo hi") });
      expect(JSON.stringify(await world.clusters())).not.toContain("s3cr3t-value");
      expect(world.fleet.head(nameOnCloud).submissions[0]?.secrets).toEqual({ TOKEN: "s3cr3t-value" });
    });

    test("a dry run creates nothing", async () => {
      const { result, log } = await launch({ dryrun: true });
      expect(result).toMatchObject({ job_id: null, handle: null, plan: { usd_per_hour: 1 } });
      expect(log.plain().at(-1)).toBe("Dryrun finished.");
      expect(await world.clusters()).toEqual([]);
      expect(world.cloud.created).toBe(0);
    });
  });

  describe("files", () => {
    test("brings workdir and file mounts to the cluster", async () => {
      const wd = join(world.home, "wd");
      mkdirSync(join(wd, "sub"), { recursive: true });
      writeFileSync(join(wd, "sub", "a.txt"), "AAA");
      writeFileSync(join(wd, "skip.log"), "no");
      writeFileSync(join(wd, ".gitignore"), "*.log\n");
      symlinkSync("sub/a.txt", join(wd, "link"));
      writeFileSync(join(world.home, "one.txt"), "ONE");
      const task = taskYaml(`workdir: ${wd}\nfile_mounts:\n  /tmp/one: ${join(world.home, "one.txt")}\nrun: ls`);
      const { log } = await launch({ task });
      const head = world.fleet.head(nameOnCloud);
      expect(Object.fromEntries(head.received)).toEqual({
        "~/sky_workdir/.gitignore": "*.log\n",
        "~/sky_workdir/sub/a.txt": "AAA",
        "/tmp/one/": "ONE",
      });
      expect(head.syncs[0]?.entries.find((entry) => entry.kind === "link")).toMatchObject({ target: "sub/a.txt" });
      expect(
        log
          .plain()
          .filter((line) => !line.startsWith("-"))
          .slice(-6),
      ).toEqual([
        "⚙︎ Syncing files.",
        `  Syncing workdir (to 1 node): ${wd} -> ~/sky_workdir`,
        expect.stringMatching(/^✓ Synced workdir\. {2}View logs: sky api logs -l sky-[-\d]+\/workdir_sync\.log$/),
        `  Syncing (to 1 node): ${join(world.home, "one.txt")} -> /tmp/one`,
        expect.stringMatching(/^✓ Synced file_mounts\. {2}View logs: sky api logs -l sky-[-\d]+\/file_mounts\.log$/),
        "⚙︎ Job submitted, ID: 1",
      ]);
    });

    test("follows a source that is a link itself, and says so", async () => {
      mkdirSync(join(world.home, "real"));
      writeFileSync(join(world.home, "real", "a.txt"), "AAA");
      symlinkSync("real", join(world.home, "dir-link"));
      symlinkSync("real/a.txt", join(world.home, "file-link"));
      const [dir, file] = [join(world.home, "dir-link"), join(world.home, "file-link")];
      const { log } = await launch({ task: taskYaml(`file_mounts:\n  /tmp/d: ${dir}\n  /tmp/f: ${file}\nrun: ls`) });
      expect(Object.fromEntries(world.fleet.head(nameOnCloud).received)).toEqual({
        "/tmp/d/a.txt": "AAA",
        "/tmp/f/": "AAA",
      });
      const told = [dir, file].map((path) => `Source path ${path} is a symlink. Its target's content is uploaded.`);
      expect(log.plain()).toEqual(expect.arrayContaining(told));
      const hint = log.plain().find((line) => line.startsWith("✓ Synced file_mounts."));
      const path = hint?.replace(/^.* -l /u, "") ?? "";
      const text = readFileSync(join(world.home, "sky_logs", path), "utf8");
      for (const line of [...told, `Syncing (to 1 node): ${dir} -> /tmp/d`]) expect(text).toContain(`${line}\n`);
    });

    test("a missing workdir is named before anything is created", async () => {
      await expect(launch({ task: taskYaml("workdir: /no/such/dir\nrun: ls") })).rejects.toThrow(
        "Workdir must be a valid directory (or a symlink to a directory). /no/such/dir not found.",
      );
      expect(await world.clusters()).toEqual([]);
      expect(world.cloud.created).toBe(0);
    });

    test("a missing source is named", async () => {
      const task = taskYaml("file_mounts:\n  /tmp/one: /no/such/file\nrun: ls");
      await expect(launch({ task })).rejects.toThrow(
        "File mount source '/no/such/file' does not exist locally. To fix: check if it exists, and correct the path.",
      );
    });
  });

  describe("a place that refuses", () => {
    test("makes the launch go to the next one", async () => {
      world.cloud.knobs.failBefore.run = [new NoCapacityError("No capacity in east.")];
      const { log } = await launch();
      expect(log.plain()).toContain("↺ Trying other potential resources.");
      expect((await world.cluster("c1"))?.region).toBe("west");
      expect(world.cloud.created).toBe(1);
    });

    test("is named with its reason when every place refuses, and no row stays", async () => {
      world.cloud.knobs.capacity = 0;
      await expect(launch()).rejects.toThrow(
        /^Failed to provision all possible launchable resources\.[\s\S]*\(tried 2 infra\):\n\n✗ Fake \(east\) — [^\n]*\n {2}There is room for 0 more fake\.large, 1 asked \(InsufficientCapacity\)\./,
      );
      expect(await world.clusters()).toEqual([]);
      expect(world.cloud.ledger()).toEqual({});
    });

    test("leads to what the cloud says can be done about it", async () => {
      world.cloud.knobs.failBefore.run = [1, 2].map(() => new NoCapacityError("Full.", { hint: "To make room: x" }));
      await expect(launch()).rejects.toMatchObject({ hint: "To make room: x" });
    });

    test("is asked again with --retry-until-up", async () => {
      world.cloud.knobs.failBefore.run = [1, 2, 3].map(() => new NoCapacityError("Full."));
      const { result, log } = await launch({ retry_until_up: true });
      expect(result.job_id).toBe(1);
      expect(log.plain()).toContain("↺ Retry after 30s");
    });

    test("an answer that is lost does not create a second cluster", async () => {
      world.cloud.knobs.failAfter.run = [new NoCapacityError("lost answer")];
      await launch();
      expect(Object.values(world.cloud.ledger()).flat()).toHaveLength(1);
    });
  });

  describe("an existing cluster", () => {
    test("that is healthy is used as it is and never leaves UP", async () => {
      await launch();
      const before = await world.cluster("c1");
      const { result, log } = await launch();
      expect(result.job_id).toBe(2);
      expect(world.cloud.created).toBe(1);
      expect((await world.cluster("c1"))?.status_updated_at).toBe(before?.status_updated_at);
      expect(log.plain()[0]).toBe("⚙︎ Launching on Fake east.");
    });

    test("skips an unchanged setup with --fast", async () => {
      const task = taskYaml("setup: make\nrun: echo hi");
      await launch({ task });
      await launch({ task, fast: true });
      await launch({ task: taskYaml("setup: make all\nrun: echo hi"), fast: true });
      expect(world.fleet.head(nameOnCloud).submissions.map((one) => one.setup)).toEqual([
        "make",
        undefined,
        "make all",
      ]);
    });

    test("that is stopped is started again with the same nodes", async () => {
      await launch();
      await world.run(stopOperation, { cluster_name: "c1" });
      const { log } = await launch();
      expect(log.plain()).toContain("Cluster 'c1' (status: STOPPED) was previously in Fake (east). Restarting.");
      expect(world.cloud.created).toBe(1);
      expect((await world.cluster("c1"))?.status).toBe("UP");
    });

    test("whose agent died gets a new one", async () => {
      await launch();
      world.fleet.kill(`/fake/${nameOnCloud}/0`);
      const { result } = await launch();
      expect(result.job_id).toBe(2);
      expect(world.fleet.running()).toHaveLength(1);
    });

    test("grows and shrinks with --resize, but not under running jobs", async () => {
      await launch();
      const resize = (nodes: number) => launch({ task: taskYaml(`num_nodes: ${nodes}`), resize: true });
      await resize(3);
      expect(world.fleet.running()).toHaveLength(3);
      expect(world.fleet.head(nameOnCloud).shutdowns.map((one) => one.jobs)).toEqual(["keep"]);
      expect(await world.cluster("c1")).toMatchObject({ num_nodes: 3, status: "UP" });
      await expect(resize(1)).rejects.toThrow(
        "Cannot scale down: 1 job(s) still running (IDs: 1). Cancel them first with: sky cancel c1 -a",
      );
      expect(await world.cluster("c1")).toMatchObject({ num_nodes: 3, status: "UP" });
      await world.run(cancelOperation, { cluster_name: "c1", all: true });
      await resize(1);
      expect(world.fleet.running()).toHaveLength(1);
      expect(await world.cluster("c1")).toMatchObject({ num_nodes: 1, status: "UP" });
    });

    test("that is too small refuses", async () => {
      await launch();
      await expect(launch({ task: taskYaml("num_nodes: 2\nrun: a") })).rejects.toThrow(
        "Requested resources do not match the existing cluster.\n  Requested:\t{2x Lambda()}\n  Existing:\t1x Lambda(cpus=4, mem=16)\n",
      );
      await expect(launch({ task: taskYaml("run: a", "infra: lambda\ncpus: 8") })).rejects.toThrow(
        "8 CPUs asked, a node has 4",
      );
    });
  });

  describe("wrong input", () => {
    test.each([
      ["1abc", 'Cluster name "1abc" is invalid'],
      ["sky-jobs-controller-1", "is reserved for managed jobs controller. Launching tasks on it is not allowed."],
    ])("the name %s is refused", async (name, message) => {
      await expect(launch({ cluster_name: name })).rejects.toThrow(message);
    });

    test("a cloud that is off is named", async () => {
      const task = taskYaml("run: a", "infra: aws");
      await expect(launch({ task })).rejects.toThrow(
        "Task 'hello' requires aws which is not enabled. To enable access, change the task cloud requirement or run: sky check aws",
      );
      await expect(launch({ task })).rejects.toMatchObject({
        hint: "AWS is not available in this version yet. Enabled here: lambda (e.g. --infra lambda).",
      });
      world.cloud.knobs.isEnabled = false;
      await expect(launch()).rejects.toThrow("Cloud access is not set up. Run: sky check");
    });

    test("what no place has is explained", async () => {
      await expect(launch({ task: taskYaml("run: a", "accelerators: H100:8") })).rejects.toThrow(
        /^Catalog does not contain any instances satisfying the request: 1x <Cloud>\(\{'H100': 8\}\)\.\nTo fix: relax or change the resource requirements\.\n\nHint: sky gpus list to list available accelerators\.\n {6}sky check to check the enabled clouds\.\nHint: Check Per Resource Hint\n {6}Fake: fake\.large has no H100:8$/,
      );
    });
  });

  describe("exec", () => {
    test("queues a job without setup, and asks for the CPUs that it names", async () => {
      await launch();
      const { result, log } = await world.run(execOperation, {
        task: taskYaml("setup: make\nrun: echo hey", "cpus: 2"),
        cluster_name: "c1",
        entrypoint_command: "sky exec c1 task.yaml",
      });
      expect(result.job_id).toBe(2);
      expect(log.plain()).toEqual(["⚙︎ Job submitted, ID: 2"]);
      const submission = world.fleet.head(nameOnCloud).submissions[1];
      expect(submission).toMatchObject({ demand: { cpus: 2 }, resourcesText: "1x[CPU:2]" });
      expect(submission?.setup).toBeUndefined();
      expect((await world.cluster("c1"))?.last_use).toBe("sky exec c1 task.yaml");
    });

    test("refuses clusters that are missing or not up", async () => {
      const body = { task: taskYaml("run: a"), cluster_name: "c1" };
      await expect(world.run(execOperation, body)).rejects.toThrow("Cluster 'c1' does not exist.");
      await launch();
      await world.run(stopOperation, { cluster_name: "c1" });
      await expect(world.run(execOperation, body)).rejects.toThrow(
        "(status: STOPPED). It is only allowed for UP clusters.",
      );
    });

    test("says that the agent cannot be reached", async () => {
      await launch();
      world.fleet.unreachable.add(`/fake/${nameOnCloud}/0`);
      world.fleet.disconnect(`/fake/${nameOnCloud}/0`);
      await world.restart();
      await expect(world.run(execOperation, { task: taskYaml("run: a"), cluster_name: "c1" })).rejects.toThrow(
        AgentError,
      );
    });
  });
});
