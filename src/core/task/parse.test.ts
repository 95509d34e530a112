import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidConfigError, InvalidValueError, SkyError } from "../../shared/errors.ts";
import { parseYamlDocuments } from "../../shared/yaml.ts";
import { dumpDag, dumpTask, taskToValue } from "./dump.ts";
import { makeCommandDag, parseTaskValue, parseTaskYaml, type ParseTaskOptions } from "./parse.ts";
import type { Task } from "./task.ts";

function only(text: string, options: ParseTaskOptions = {}): Task {
  const [task] = parseTaskYaml(text, options).tasks;
  if (task === undefined) throw new Error("no task");
  return task;
}

function messageOf(text: string, options: ParseTaskOptions = { file: "task.yaml" }): string {
  try {
    parseTaskYaml(text, options);
  } catch (error) {
    if (error instanceof InvalidConfigError || error instanceof InvalidValueError) return error.message;
    throw error;
  }
  throw new Error("The task was accepted.");
}

const TASK = `name: hello
resources: {cloud: AWS, region: us-east-1, accelerators: {A100: 8}, cpus: 4, memory: 2x, ports: [8080, 8081, 8082, "9000-9001"],
  autostop: 1h, disk_size: 1TB, use_spot: true, image_id: docker:ubuntu:22.04, labels: {a: b}, job_recovery: failover, priority: 5}
run: echo
`;

const CANONICAL = `name: hello

resources:
  infra: aws/us-east-1
  cpus: '4'
  memory: 2x
  accelerators:
    A100: 8
  use_spot: true
  job_recovery:
    strategy: FAILOVER
  disk_size: 1024
  image_id:
    us-east-1: docker:ubuntu:22.04
  ports:
  - 8080-8082
  - 9000-9001
  labels:
    a: b
  autostop:
    idle_minutes: 60
    down: false
  priority: 5

num_nodes: 1

run: echo

file_mounts: {}

volumes: {}
`;

describe("parseTaskYaml", () => {
  it("prints a task in its canonical form", () => {
    expect(dumpTask(only(TASK), { withoutUserText: true })).toBe(CANONICAL);
  });

  it("shows the first problem in the words of 0.14.1, its place, and every other problem", () => {
    expect(messageOf("name: t\nresourcess: {}\nrun: [a]\nnum_nodes: x\n")).toBe(
      [
        "Invalid task YAML: Instead of 'resourcess', did you mean 'resources'?",
        "  at task.yaml:2:1 (resourcess)",
        "Also: 'x' is not of type 'integer'. Check problematic field(s): $.num_nodes",
        "  at task.yaml:4:12 (num_nodes)",
        "Also: ['a'] is not of type 'string'. Check problematic field(s): $.run",
        "  at task.yaml:3:6 (run)",
      ].join("\n"),
    );
  });

  it("gives full paths and places of nested values", () => {
    expect(messageOf("resources:\n  any_of:\n  - cpus: [2]\n")).toBe(
      "Invalid resources YAML: [2] is not valid under any of the given schemas. Check problematic field(s): $.any_of[0].cpus\n" +
        "  at task.yaml:3:11 (resources.any_of[0].cpus)",
    );
    expect(messageOf("resources:\n  memory: 3y\n")).toContain("\n  at task.yaml:2:11 (resources.memory)");
    expect(messageOf("service:\n  readiness_probe: h\n")).toBe(
      "readiness_path must start with a slash (/). Got: h\n  at task.yaml:2:20 (service.readiness_probe)",
    );
  });

  it.each([
    ["", "'task.yaml' is empty or contains no task definition. Add at least a `run:` (or `setup:`) field."],
    [
      "# nothing\n---\n",
      "'task.yaml' is empty or contains no task definition. Add at least a `run:` (or `setup:`) field.",
    ],
    ["- a\n", "Task YAML must be a mapping; got a list"],
    ["echo hi\n", "Task YAML must be a mapping; got a string"],
  ])("refuses %j", (text, message) => {
    expect(messageOf(text)).toBe(message);
  });

  it("freezes what it returns", () => {
    const task = only(TASK);
    expect(
      Object.isFrozen(task) && Object.isFrozen(task.resources) && Object.isFrozen(task.resources.candidates[0]),
    ).toBe(true);
  });

  it("puts the command line's values over those of the file", () => {
    const task = only("envs: {A: file, B: file}\nsecrets: {S: file}\nworkdir: /$A/$S\n", {
      envOverrides: [
        ["A", "one"],
        ["A", "two"],
        ["C", "new"],
      ],
      secretOverrides: [["S", "hidden"]],
    });
    expect(task.envs).toEqual({ A: "two", B: "file", C: "new" });
    expect(task.secrets["S"]?.reveal()).toBe("hidden");
    expect(task.workdir).toEqual({ kind: "dir", path: "/two/hidden" });
  });

  it("refuses names from the command line that no shell takes", () => {
    expect(messageOf("run: x", { envOverrides: [["A B", "x"]] })).toBe("Invalid env key: A B");
    expect(messageOf("run: x", { secretOverrides: [["1", "x"]] })).toBe("Invalid secret key: 1");
    expect(messageOf("run: x", { envOverrides: [["A", null]] })).toContain("Environment variable 'A' is None.");
  });

  it("folds --config into the task's own block; null removes", () => {
    const text = "config: {gcp: {vpc_name: file}, docker: {run_options: a}}\n";
    const fold = (configOverrides: Record<string, unknown>): unknown =>
      only(text, { configOverrides }).resources.candidates[0]?.clusterConfigOverrides;
    expect(fold({ gcp: { vpc_name: "flag" }, jobs: { bucket: "s3://b" } })).toEqual({
      gcp: { vpc_name: "flag" },
      docker: { run_options: "a" },
    });
    expect(fold({ gcp: { vpc_name: null } })).toEqual({ docker: { run_options: "a" } });
    expect(fold({ aws: { vpc_names: ["x"] } })).toMatchObject({ aws: { vpc_names: ["x"] } });
  });

  it("is strict about config keys on the server", () => {
    const text = "config: {kubernetes: {zzz: 1}}\n";
    expect(only(text).resources.candidates[0]?.clusterConfigOverrides).toEqual({ kubernetes: { zzz: 1 } });
    expect(messageOf(text, { side: "server" })).toBe(
      "Invalid resources.config override: Found unsupported field 'zzz'.",
    );
  });

  it("does not let secrets out through text forms", () => {
    const task = only("secrets: {TOKEN: hunter2}\nrun: x\n");
    expect(JSON.stringify(task)).not.toContain("hunter2");
    expect(task.userSpecifiedYaml).not.toContain("hunter2");
    expect(dumpTask(task, { redactSecrets: true })).not.toContain("hunter2");
    expect(dumpTask(task)).toContain("TOKEN: hunter2");
  });

  it("substitutes values of any characters inside string leaves", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom("a", "$", "{", "}", "$V", '"', "\\", "\n", "\0", "\u2028", "é", "🚀", "$&", "$1"),
        }),
        (value) => {
          const task = only("envs: {V: placeholder}\nfile_mounts: {/d: 'a/${V}/b', '/k$V': c}\n", {
            envOverrides: [["V", value]],
          });
          expect(task.fileMounts).toEqual({ "/d": `a/${value}/b`, [`/k${value}`]: "c" });
        },
      ),
    );
  });
});

describe("pipelines and job groups", () => {
  it("reads a header, its tasks and their order", () => {
    const dag = parseTaskYaml("name: p\nexecution: serial\n---\nname: a\nrun: x\n---\nrun: y\n");
    expect([dag.name, dag.execution, dag.tasks.map((task) => task.name)]).toEqual(["p", "serial", ["a", undefined]]);
  });

  it("reads a job group and says so", () => {
    const told: string[] = [];
    const dag = parseTaskYaml(
      "name: g\nexecution: parallel\nprimary_tasks: [a]\ntermination_delay: {default: 30s}\nfoo: 1\n---\nname: a\n---\nname: b\n",
      { warn: (message) => told.push(message) },
    );
    expect([dag.execution, dag.primaryTasks, dag.terminationDelay]).toEqual(["parallel", ["a"], { default: "30s" }]);
    expect(told).toEqual([
      "Unknown fields in Job Group header: {'foo'}. These will be ignored.",
      "Loaded Job Group \"g\" with 2 jobs: ['a', 'b']",
    ]);
    expect(parseTaskYaml(dumpDag(dag)).primaryTasks).toEqual(["a"]);
  });

  const group = (header: string, jobs = "name: a\n---\nname: b"): string =>
    `execution: parallel\n${header}\n---\n${jobs}\n`;

  it.each([
    [group("x: 1"), "Job Group header missing required fields: {'name'}"],
    [group("name: g", "run: x\n---\nname: b"), 'Job 1 in Job Group must have a "name" field.'],
    [group("name: g", "name: a\n---\nname: a"), "Duplicate job name in Job Group: a"],
    [
      group("name: g", "name: a b"),
      "Invalid job name: 'a b'. Name must contain only alphanumeric characters, hyphens, and underscores.",
    ],
    [group("name: g\nprimary_tasks: [z]", "name: a"), "primary_tasks references unknown job: z. Available jobs: ['a']"],
    [
      group("name: g\ntermination_delay: 30x"),
      'Invalid time duration for termination_delay: \'30x\'. Expected format: NUMBER[s|m|h|d|w] (e.g., "30s", "5m", "1h")',
    ],
    [group("name: g\ninter_connection: x"), "inter_connection must be a boolean, got str: 'x'"],
    [
      "name: p\nexecution: foo\n---\nrun: x\n---\nrun: y\n",
      "Invalid execution mode for pipeline: 'foo'. Pipelines must use execution: serial (or omit it). Use execution: parallel for job groups.",
    ],
  ])("refuses %j", (text, message) => {
    expect(messageOf(text)).toBe(message);
  });
});

describe("dumpDag", () => {
  it("writes the wire form: the DAG's name, then the task", () => {
    const documents = parseYamlDocuments(dumpDag(makeCommandDag("echo hi")));
    expect(documents.map((document) => document.value)).toMatchObject([
      { name: "sky-cmd" },
      { name: "sky-cmd", resources: {}, num_nodes: 1, run: "echo hi", file_mounts: {}, volumes: {} },
    ]);
  });

  it("is read back as the same task, for everything that 0.14.1 accepts", () => {
    const path = new URL("../../../test/fixtures/task-yaml/tasks.golden.json", import.meta.url);
    const rows = JSON.parse(readFileSync(path, "utf8")) as { kind: string; yaml: string; ok: boolean }[];
    const accepted = rows.filter((row) => row.ok && row.kind === "task");
    expect(accepted.length).toBeGreaterThan(300);
    for (const { yaml } of accepted) {
      let dag;
      try {
        dag = parseTaskYaml(yaml);
      } catch (error) {
        if (error instanceof SkyError) continue;
        throw error;
      }
      const again = parseTaskYaml(dumpDag(dag), { maxLength: 1 << 20 });
      expect(
        again.tasks.map((task) => taskToValue(task)),
        yaml,
      ).toEqual(dag.tasks.map((task) => taskToValue(task)));
    }
  });

  it("reads what the official client sends", () => {
    const dag = parseTaskYaml(
      "name: hello\n---\n\nname: hello\n\nresources:\n  infra: slurm/mycluster\n  cpus: '1'\n\nnum_nodes: 1\n\nsetup: echo setup-done\n\n" +
        "workdir: /home/alice/wd\n\nrun: 'echo hello from $SKYPILOT_NODE_RANK\n\n  cat /tmp/fm\n\n  '\n\nfile_mounts:\n  /tmp/fm: /home/alice/fm.txt\n\n" +
        'file_mounts_mapping:\n  /home/alice/wd: /home/alice/wd\n\nvolumes: {}\n\n_user_specified_yaml: "name: hello\\n\\nresources:\\n  infra:\\\n  \\ x\\n"\n',
      { side: "server" },
    );
    expect(dag).toMatchObject({
      name: "hello",
      tasks: [
        {
          run: "echo hello from $SKYPILOT_NODE_RANK\ncat /tmp/fm\n",
          fileMountsMapping: { "/home/alice/wd": "/home/alice/wd" },
          userSpecifiedYaml: "name: hello\n\nresources:\n  infra: x\n",
        },
      ],
    });
  });
});

describe("parseTaskValue", () => {
  it("checks plain data like a file", () => {
    expect(parseTaskValue({ run: "x", resources: { cpus: 4 } }).tasks[0]?.resources.candidates[0]?.cpus).toBe("4");
    expect(() => parseTaskValue({ runn: "x" })).toThrow("Invalid task YAML: Instead of 'runn', did you mean 'run'?");
    expect(() => parseTaskValue([])).toThrow("Task YAML must be a mapping; got a list");
  });
});
