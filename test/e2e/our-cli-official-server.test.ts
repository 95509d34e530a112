/**
 * Our CLI against the original server, SkyPilot 0.14.1. Needs SKYPILOT 0.14.1 in a Python (SKY_REFERENCE_PYTHON names its interpreter)
 * and root, because the server gets a network of its own: it listens on fixed ports.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const python = process.env["SKY_REFERENCE_PYTHON"];
const root = fileURLToPath(new URL("../..", import.meta.url));

const COMMANDS = {
  info: "api info -o json",
  status: "status",
  missing: "status nosuch",
  check: "check aws -o json",
  checkText: "check aws",
  dryrun: "launch -y --dryrun task.yaml",
  exec: "exec nosuch echo hi",
  requests: "api status -a -o json",
} as const;

type Name = keyof typeof COMMANDS;
interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const SCRIPT = String.raw`
ip link set lo up
mkdir -p "$DIR/server" "$DIR/client"
HOME="$DIR/server" SKYPILOT_DISABLE_USAGE_COLLECTION=1 "$PYTHON" -m sky.server.server --host=127.0.0.1 --port=46580 > "$DIR/server.log" 2>&1 &
export HOME="$DIR/client"
cd "$DIR/client"
for attempt in $(seq 1 240); do
  "$NODE" "$SKY" api info -o json 2>/dev/null | grep -q '"healthy"' && break
  sleep 0.5
done
while IFS='|' read -r name words; do
  "$NODE" "$SKY" $words > "$DIR/$name.out" 2> "$DIR/$name.err"
  echo $? > "$DIR/$name.code"
done < "$DIR/commands"
`;

let dir: string;
const results = new Map<string, Result>();

function result(name: Name): Result {
  const found = results.get(name);
  if (found === undefined) throw new Error(`${name} was not run`);
  return found;
}

describe.skipIf(python === undefined)("our CLI and the server of SkyPilot 0.14.1 (SKY_REFERENCE_PYTHON is set)", () => {
  beforeAll(async () => {
    const { readFileSync, mkdirSync } = await import("node:fs");
    dir = mkdtempSync(join(tmpdir(), "sky-official-"));
    mkdirSync(join(dir, "client"));
    writeFileSync(join(dir, "client", "task.yaml"), "name: t\nresources:\n  cpus: 2\nrun: echo hi\n");
    writeFileSync(
      join(dir, "commands"),
      Object.entries(COMMANDS)
        .map(([name, words]) => `${name}|${words}\n`)
        .join(""),
    );
    const namespace = ["-n", "-p", "-f", "--kill-child", "--mount-proc"];
    execFileSync("unshare", [...namespace, "bash", "-c", SCRIPT], {
      env: {
        PATH: process.env["PATH"] ?? "",
        DIR: dir,
        PYTHON: python ?? "",
        NODE: process.execPath,
        SKY: join(root, "bin", "sky.cjs"),
      },
      stdio: "ignore",
      timeout: 170_000,
    });
    const read = (name: string, part: string): string => readFileSync(join(dir, `${name}.${part}`), "utf8");
    for (const name of Object.keys(COMMANDS)) {
      results.set(name, { code: Number(read(name, "code")), out: read(name, "out"), err: read(name, "err") });
    }
  }, 180_000);

  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test("api info knows it", () => {
    expect(JSON.parse(result("info").out)).toMatchObject({
      server: { status: "healthy", version: "0.14.1", api_version: "62" },
    });
  });

  test("status lists nothing, section by section", () => {
    const { code, out, err } = result("status");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("\nClusters\nNo existing clusters.\n\nManaged jobs\n");
    expect(result("missing")).toMatchObject({ code: 1 });
    expect(result("missing").out).toContain("Cluster 'nosuch' not found.");
  });

  test("check streams the server's text, without its colours", () => {
    expect(JSON.parse(result("check").out)).toEqual({ default: {} });
    expect(result("checkText").out).toContain("AWS: disabled");
    expect(result("checkText").out).not.toContain("\u001B");
  });

  test("launch --dryrun is validated there, and its error comes back typed", () => {
    const { code, out, err } = result("dryrun");
    expect(code).toBe(1);
    expect(out).toContain("YAML to run: task.yaml\n");
    expect(err).toContain("error: Cloud access is not set up. Run: sky check\n");
  });

  test("exec on a cluster that does not exist", () => {
    expect(result("exec")).toMatchObject({ code: 1, err: "error: Cluster 'nosuch' does not exist.\n" });
  });

  test("its request list is readable", () => {
    const rows = JSON.parse(result("requests").out) as { name: string }[];
    expect(rows.map((row) => row.name)).toContain("sky.exec");
  });
});
