/**
 * The real SkyPilot 0.14.1 beside ours: fresh random task files, configs and YAML through both. Needs the Python of an
 * environment with skypilot==0.14.1, named in SKY_REFERENCE_PYTHON; skipped without one.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dumpYaml } from "../../src/shared/yaml.ts";
import { agrees, ourVerdict, type GoldenRow } from "../fixtures/task-yaml/verdict.ts";

const python = process.env["SKY_REFERENCE_PYTHON"] ?? "";
const hasReference = existsSync(python);
/** Others look for disagreements that nobody has met; what lands is judged by what it changes. */
const seed = Number(process.env["SKY_DIFFERENTIAL_SEED"] ?? 1);
const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));

let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "sky-reference-"));
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

type Question = Pick<GoldenRow, "kind" | "yaml">;

/** Asks the original, in a HOME of its own and with no network to reach. */
async function ask(questions: readonly Question[]): Promise<readonly GoldenRow[]> {
  const [input, output] = [join(home, "questions.json"), join(home, "answers.json")];
  await writeFile(input, JSON.stringify(questions));
  const env = { ...process.env, HOME: home, http_proxy: "http://127.0.0.1:9", https_proxy: "http://127.0.0.1:9" };
  const args = [join(FIXTURES, "task-yaml/record.py"), input, output];
  await promisify(execFile)(python, args, { env, cwd: home, timeout: 170_000, maxBuffer: 1 << 26 });
  return JSON.parse(await readFile(output, "utf8")) as readonly GoldenRow[];
}

interface Known {
  readonly kind: string;
  readonly yaml: string;
}

async function goldenRows(path: string): Promise<readonly GoldenRow[]> {
  return JSON.parse(await readFile(join(FIXTURES, path), "utf8")) as readonly GoldenRow[];
}

async function knownDifferences(): Promise<ReadonlySet<string>> {
  const rows: Known[] = [];
  for (const path of ["task-yaml/differences.json", "config/differences.json"])
    rows.push(...(JSON.parse(await readFile(join(FIXTURES, path), "utf8")) as Known[]));
  return new Set(rows.map((row) => `${row.kind}:${row.yaml}`));
}

function disagreements(rows: readonly GoldenRow[]): unknown[] {
  return rows
    .filter((row) => row.error !== "ConnectionError" && !CRASHES.includes(row.error ?? ""))
    .map((row) => ({ theirs: row, ours: ourVerdict(row) }))
    .filter(({ theirs, ours }) => !agrees(theirs, ours));
}

/** Bugs of the original: where it crashes there is no verdict to match. */
const CRASHES = ["AttributeError", "TypeError", "IndexError", "KeyError", "AssertionError", "JSONDecodeError"];

/** Written back by the original as `autostop: {idle_minutes: -1, …}`, which it refuses to read; we write what was there. */
const ONE_WAY = "  autostop: -1\n";

/** Replaces one value of a file by one of another type, or misspells a key. */
function mutations(lines: readonly string[], count: number): string[] {
  const odd = fc.constantFrom(
    "-1",
    "0",
    "1.5",
    "true",
    "null",
    "foo bar",
    "{a: b}",
    '"5"',
    "[1, x]",
    "1e3",
    "2024-05-06",
    "''",
  );
  const change = fc.record({ line: fc.nat(lines.length - 1), value: odd, kind: fc.nat(2), at: fc.nat(20) });
  return fc.sample(change, { numRuns: count, seed }).map(({ line, value, kind, at }) =>
    lines
      .map((text, index) => {
        const colon = text.indexOf(":");
        if (index !== line || colon < 0) return text;
        const name = text.slice(0, colon);
        if (kind === 0) return `${name}: ${value}`;
        const cut = name.length - 1 - (at % Math.max(name.trim().length, 1));
        return (kind === 1 ? name.slice(0, cut) + name.slice(cut + 1) : `${name}s`) + text.slice(colon);
      })
      .join("\n"),
  );
}

const TASK = `name: train
resources:
  infra: aws/us-east-1
  cpus: 4+
  memory: 16GB
  accelerators: V100:2
  use_spot: true
  disk_size: 512
  disk_tier: high
  ports: [80, 8080-8090]
  image_id: docker:x
  autostop: {idle_minutes: 5, down: true, wait_for: jobs}
  job_recovery: {strategy: failover, max_restarts_on_errors: 3}
  labels: {a: b}
  priority: 5
num_nodes: 2
envs: {A: 1, B: x}
secrets: {C: d}
file_mounts:
  /a: s3://bucket/$B
  /b: {name: bucket1, mode: MOUNT_CACHED}
service:
  readiness_probe: {path: /health, timeout_seconds: 3}
  replica_policy: {min_replicas: 1, max_replicas: 3, target_qps_per_replica: 2}
config:
  docker: {run_options: --ipc=host}
  hooks: [{run: echo, events: [stop]}]
run: echo
`;

const CONFIG = `jobs:
  controller: {resources: {cpus: 4+}, autostop: {idle_minutes: 5}}
allowed_clouds: [aws]
aws:
  labels: {a: b}
  vpc_names: [x]
  use_internal_ips: true
  ssh_proxy_command: {us-east-1: x}
kubernetes:
  networking: portforward
  provision_timeout: 60
gcp: {vpc_name: a/b}
rbac: {default_role: user}
docker: {run_options: [a]}
`;

describe.skipIf(!hasReference)(`the real SkyPilot (needs SKY_REFERENCE_PYTHON; seed ${seed})`, () => {
  it("says about the golden files what they recorded", async () => {
    const golden = await goldenRows("task-yaml/tasks.golden.json");
    const sample = golden.filter((_, index) => index % 7 === seed % 7);
    const fresh = await ask(sample);
    // Sets are printed in any order, so only verdict and text are compared here.
    expect(fresh.map(({ yaml, ok, message }) => ({ yaml, ok, message: stable(message) }))).toEqual(
      sample.map(({ yaml, ok, message }) => ({ yaml, ok, message: stable(message) })),
    );
  });

  it("agrees with us about mutated task files", async () => {
    const known = await knownDifferences();
    const files = mutations(TASK.split("\n"), 150).filter((yaml) => !yaml.includes(ONE_WAY));
    const questions = files.map((yaml): Question => ({ kind: "task", yaml }));
    const rows = await ask(questions.filter(({ kind, yaml }) => !known.has(`${kind}:${yaml}`)));
    expect(disagreements(rows)).toEqual([]);
  });

  it("agrees with us about mutated configs", async () => {
    const questions = mutations(CONFIG.split("\n"), 100).map((yaml): Question => ({ kind: "config", yaml }));
    expect(disagreements(await ask(questions))).toEqual([]);
  });

  it("reads what we dump, and reads it as we do", async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.string({
        unit: fc.constantFrom("a", " ", "\n", ":", "#", "-", "'", '"', "\\", "\t", "1", ".", "{", "]", "é", "\u2028"),
      }),
    );
    const value = fc.dictionary(
      text,
      fc.oneof(text, fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.array(text)),
    );
    const questions = fc
      .sample(value, { numRuns: 300, seed })
      .map((item): Question => ({ kind: "pyyaml", yaml: dumpYaml(item) }));
    const rows = await ask(questions);
    expect(rows.filter((row) => !row.ok)).toEqual([]);
    expect(disagreements(rows)).toEqual([]);
  });
});

/** Python's sets are printed in any order. */
function stable(message: string | undefined): string | undefined {
  return message?.includes("across resources: {") === true ? "set" : message;
}
