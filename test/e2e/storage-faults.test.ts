import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { whyNoFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { findGateway, S3Gateway } from "../support/s3/gateway.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const MIB = 1024 * 1024;
const FILES = 10_000;
const ODD_KEYS = [
  "plain.txt",
  "with space.txt",
  "plus+and%25percent%.txt",
  "ünïcødé/日本語 🦊.txt",
  "a=b&c?d#e;f,g:h@i'j(k)!*.txt",
  "dir/.hidden",
  "-dash",
  "~tilde",
];

describe.skipIf(findGateway() === undefined || whyNoFleet() !== undefined)(
  "copies of buckets to machines over SSH",
  () => {
    let pool: SshPool;
    let gateway: S3Gateway;

    beforeAll(async () => {
      pool = await createSshPool([{ name: "n0" }, { name: "n1" }, { name: "tiny", diskMib: 400, gpus: ["NVIDIA L4"] }]);
      gateway = await S3Gateway.startIn(pool.fleet);
      await pool.sandbox.startServer(gateway.env);
      await sky("ssh", "up");
      await sky("check", "aws");
    });

    afterAll(() => pool?.dispose());

    async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
      const result = await pool.sandbox.sky(args, { env: pool.sandbox.env(gateway.env) });
      return { ...result, text: plainText(result.stdout + result.stderr) };
    }

    function task(name: string, resources: string, mounts: string): string {
      const head = `num_nodes: ${resources === "" ? 2 : 1}\nresources: {infra: ssh/rack${resources}}\n`;
      return pool.sandbox.write(`${name}.yaml`, `${head}file_mounts:\n${mounts}run: 'true'\n`);
    }

    /** A script on a host, as its user. */
    async function on(host: string, script: string): Promise<string> {
      return (await pool.fleet.host(host).exec(["sh", "-c", script], { user: "dev" })).stdout;
    }

    /** Objects that are put beside the server, as whoever owns its disk may. */
    function put(bucket: string, files: Readonly<Record<string, string | Buffer>>): void {
      for (const [key, content] of Object.entries(files)) {
        const path = join(gateway.buckets, bucket, key);
        mkdirSync(join(path, ".."), { recursive: true });
        writeFileSync(path, content);
      }
    }

    it("10,000 objects and odd keys are on every node, byte for byte, and are not copied again", async () => {
      put("many", Object.fromEntries(Array.from({ length: FILES }, (_, n) => [`d${n % 100}/f${n}`, `object ${n}\n`])));
      put("odd", Object.fromEntries(ODD_KEYS.map((key) => [key, `${key}\n`])));
      mkdirSync(join(gateway.buckets, "odd/folder"));
      const file = task("many", "", "  ~/many: s3://many\n  ~/odd: s3://odd\n");
      const { text, exitCode } = await sky("launch", "-y", "-c", "c", file);
      expect(exitCode, text).toBe(0);
      for (const host of ["n0", "n1"]) {
        expect(await on(host, "find ~/many -type f | wc -l; cat ~/many/d42/f4242")).toBe(`${FILES}\nobject 4242\n`);
        const found = await on(host, "cd ~/odd && find . -type f -printf '%P\\n' -exec cat {} +");
        expect(found.trim().split("\n").sort()).toEqual([...ODD_KEYS, ...ODD_KEYS].sort());
      }
      const before = await on("n0", "stat -c %Z ~/many/d42/f4242");
      await sky("launch", "-y", "-c", "c", task("many", "", "  ~/many: s3://many\n"));
      expect(await on("n0", "stat -c %Z ~/many/d42/f4242")).toBe(before);
    });

    it("odd keys go up as they are called", async () => {
      for (const key of ODD_KEYS) pool.sandbox.write(`up/${key}`, `${key}\n`);
      await sky("launch", "-y", "-c", "c", task("up", "", "  ~/up: {name: up-bucket, source: ./up, mode: COPY}\n"));
      const found = await on("n1", "cd ~/up && find . -type f -printf '%P\\n'");
      expect(found.trim().split("\n").sort()).toEqual([...ODD_KEYS].sort());
      expect((await sky("storage", "delete", "-y", "up-bucket")).text).toBe("Deleted S3 bucket up-bucket.\n");
    });

    it("what does not fit on a node is said with both figures before anything is copied", async () => {
      put("large", { "one.bin": randomBytes(200 * MIB), "two.bin": randomBytes(200 * MIB) });
      const launch = (): Promise<RunResult> =>
        sky("launch", "-y", "-c", "small", task("large", ", accelerators: 'L4:1'", "  ~/large: s3://large\n"));
      expectRefusal(await launch(), {
        exitCode: 1,
        message: /There is no space for ~\/large: 400\.0 MiB are needed, [\d.]+ MiB are free\. Nothing was copied\./u,
        hint: "Free space on the node's disk, or ask for a larger one (disk_size), then repeat the command.",
      });
      expect(await on("tiny", "find ~/large -type f 2>/dev/null | wc -l")).toBe("0\n");
    });

    it("a server that dies in the middle is waited for, and the copy goes on where it was", async () => {
      put("cut", Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`part${n}`, randomBytes(40 * MIB)])));
      for (const host of ["n0", "n1"]) await pool.fleet.host(host).setLink({ rateKbit: 400_000 });
      const launched = sky("launch", "-y", "-c", "c", task("cut", "", "  ~/cut: s3://cut\n"));
      await waitFor(
        "some of it to arrive",
        async () => (await on("n0", "ls -A ~/cut 2>/dev/null | wc -l")).trim() !== "0",
      );
      await gateway.kill();
      await gateway.restart();
      const { text, exitCode } = await launched;
      expect(exitCode, text).toBe(0);
      for (const host of ["n0", "n1"]) {
        expect(await on(host, "cd ~/cut && ls -A | wc -l; du -sb --apparent-size part5 | cut -f1")).toBe(
          `6\n${40 * MIB}\n`,
        );
      }
    });

    it("a server that stays away is named, with the node, and nothing half is left", async () => {
      await on("n0", "rm -rf ~/cut");
      await on("n1", "rm -rf ~/cut");
      const launched = sky("launch", "-y", "-c", "c", task("cut", "", "  ~/cut: s3://cut\n"));
      await waitFor(
        "some of it to arrive",
        async () => (await on("n0", "ls -A ~/cut 2>/dev/null | wc -l")).trim() !== "0",
      );
      await gateway.kill();
      expectRefusal(await launched, { exitCode: 1, message: gateway.url.replace("http://", "") });
      for (const host of ["n0", "n1"]) {
        const sizes = (await on(host, "cd ~/cut && find . -type f -printf '%s %f\\n'")).trim().split("\n");
        expect(sizes.filter((line) => line !== "" && !/^41943040 part\d+$/u.test(line))).toEqual([]);
      }
      await gateway.restart();
      expect((await sky("launch", "-y", "-c", "c", task("cut", "", "  ~/cut: s3://cut\n"))).exitCode).toBe(0);
      expect(await on("n1", "ls -A ~/cut | wc -l")).toBe("6\n");
    });
  },
);
