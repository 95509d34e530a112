/** What the built CLI loads: the start-up budget of the thin client. Builds the CLI bundle into a folder of its own. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundles } from "../../scripts/build.ts";
import { gives, WireServer } from "../fakes/wire-server.ts";

const ENTRY_LIMIT_BYTES = 120 * 1024;
let dir: string;
let server: WireServer;

/** What a run loaded: builtin modules of Node and files of the bundle. */
interface Loaded {
  readonly builtins: readonly string[];
  readonly files: readonly string[];
}

const PROBE = `process.on("exit", () => {
  const builtins = process.moduleLoadList.filter((name) => name.startsWith("NativeModule ")).map((name) => name.slice(13));
  require("node:fs").writeFileSync(process.env.LOADED, JSON.stringify({ builtins, files: Object.keys(require.cache) }));
});
require(process.env.ENTRY);
`;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "sky-startup-"));
  const build = await rolldown(bundles.cli.input);
  await build.write({ ...bundles.cli.output, dir: join(dir, "cli") });
  await build.close();
  writeFileSync(join(dir, "probe.cjs"), PROBE);
  server = await WireServer.start({
    routes: {
      "POST /status": gives([]),
      "GET /enabled_clouds": gives([]),
      "POST /jobs/queue/v2": gives([]),
      "POST /jobs/pool_status": gives([]),
      "POST /serve/status": gives([]),
    },
  });
});

afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function load(...argv: string[]): Promise<Loaded & { readonly out: string }> {
  const { readFileSync } = await import("node:fs");
  const { stdout } = await promisify(execFile)(process.execPath, [join(dir, "probe.cjs"), ...argv], {
    cwd: dir,
    env: {
      HOME: dir,
      SKYPILOT_USER_ID: "abcd1234",
      SKYPILOT_API_SERVER_ENDPOINT: server.url,
      LOADED: join(dir, "loaded.json"),
      ENTRY: join(dir, "cli", "main.cjs"),
    },
  });
  return { ...(JSON.parse(readFileSync(join(dir, "loaded.json"), "utf8")) as Loaded), out: stdout };
}

describe("the built CLI", () => {
  test("has a small entry", () => {
    expect(statSync(join(dir, "cli", "main.cjs")).size).toBeLessThanOrEqual(ENTRY_LIMIT_BYTES);
  });

  test("sky status loads no fetch, no TLS, no crypto, no YAML, no schemas", async () => {
    const { builtins, files, out } = await load("status");
    expect(out).toContain("No existing clusters.");
    expect(builtins.filter((name) => /undici|^tls$|_tls|^https$|^crypto$|fetch|webstreams/.test(name))).toEqual([]);
    expect(files.filter((file) => /yaml|zod|schema|\/(parse|config|merge)-/i.test(file))).toEqual([]);
  });

  test("sky --help and --version need neither parser nor network nor streams", async () => {
    for (const flag of ["--help", "--version"]) {
      const { builtins, files } = await load(flag);
      expect(builtins.filter((name) => /^(http|net|stream|tty|child_process)$/.test(name))).toEqual([]);
      expect(files.length).toBeLessThanOrEqual(8);
    }
  });

  test("the help of a command needs no network", async () => {
    const { builtins } = await load("launch", "--help");
    expect(builtins.filter((name) => /^(http|net|child_process)$/.test(name))).toEqual([]);
  });
});
