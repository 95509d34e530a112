import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysEnv } from "../support/aws/keys-env.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { rcloneEnv } from "../support/s3/rclone.ts";
import { plainText } from "./support/plain-text.ts";
import { SandboxPodman, whyNoPodman } from "./support/podman.ts";
import { signalProcess } from "./support/process-tree.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";
import { makeRootTar } from "./support/tiny-image.ts";
import { waitFor } from "./support/wait-for.ts";

const reason = whyNoPodman() ?? (findMoto() === undefined ? "moto is not installed" : undefined);
const LONG_MS = 120_000;

describe.skipIf(reason !== undefined)(`buckets in containers ${reason ?? ""}`, () => {
  let moto: Moto;
  let s3: S3Client;
  let sandbox: Sandbox;
  let podman: SandboxPodman;

  beforeAll(async () => {
    moto = await Moto.start();
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    await moto.createBucket("data");
    await moto.createBucket("ckpt");
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "part/a.txt", Body: "one\n" }));
    sandbox = await Sandbox.create();
    podman = new SandboxPodman(sandbox);
    podman.extraEnv = {
      ...rcloneEnv(sandbox),
      ...keysEnv(moto.url),
    };
    podman.startServer();
    podman.run("import", makeRootTar(sandbox.root, { withBash: true }), "localhost/little:1");
    await sky("check", "aws");
  }, LONG_MS);

  afterAll(async () => {
    podman?.run("rm", "--force", "--all", "--time", "0");
    await sandbox?.dispose();
    s3?.destroy();
    moto?.stop();
  });

  const sky = async (...args: readonly string[]): Promise<RunResult & { readonly text: string }> => {
    const result = await sandbox.sky(args, { env: podman.env() });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  };
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { exitCode, text } = await sky(...args);
    expect(exitCode, text).toBe(0);
    return text.replaceAll(/^\(.*?pid=\d+.*?\) /gm, "| ");
  };
  const task = (mounts: string, run: string): string =>
    sandbox.write(
      "task.yaml",
      `name: t\nresources: {infra: local, image_id: "docker:localhost/little:1"}\nfile_mounts:\n${mounts}\nrun: |\n${run.replaceAll(/^/gmu, "  ")}\n`,
    );
  const textOf = async (bucket: string, key: string): Promise<string | undefined> =>
    (await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body?.transformToString();
  const keysOf = async (bucket: string): Promise<string[]> => {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap(({ Key }) => Key ?? []).sort();
  };
  const rclones = (): number[] =>
    sandbox
      .processes()
      .filter(({ argv }) => argv[0]?.endsWith("rclone") === true && /^mount2?$/u.test(argv[1] ?? ""))
      .map(({ pid }) => pid);

  const containers = (cluster: string): string[] =>
    podman
      .run("ps", "--all", "--format", "{{.Names}}")
      .split("\n")
      .filter((name) => name.startsWith(`sky-${cluster}-`));

  const MOUNTS = `
  ~/data: {source: s3://data}
  /opt/empty: {source: s3://ckpt, mode: MOUNT_CACHED}
  /data/part: {source: s3://data/part, config: {mount: {read_only: true}}}
  ~/sky_workdir/own: {source: s3://data}
  ~/copy: s3://data/part`;

  test("are seen at their places inside, to read and to write", { timeout: LONG_MS }, async () => {
    const text = await ok(
      "launch",
      "-y",
      "-c",
      "c",
      task(
        MOUNTS,
        `cat ~/data/part/a.txt /data/part/a.txt ~/sky_workdir/own/part/a.txt ~/copy/a.txt
echo written > ~/data/new.txt; echo cached > /opt/empty/step-1
echo no > /data/part/no 2>/dev/null || echo read only
ls /opt/empty ~/sky_workdir/own`,
      ),
    );
    expect(text.match(/^\| one$/gmu)).toHaveLength(4);
    expect(text).toContain("| read only\n| /opt/empty:\n| step-1\n");
    expect(await textOf("data", "new.txt")).toBe("written\n");
    expect(await textOf("ckpt", "step-1")).toBe("cached\n");
  });

  test("come back inside when rclone died, and after a stop and a start", { timeout: LONG_MS }, async () => {
    const before = rclones();
    expect(before).toHaveLength(4);
    for (const pid of before) signalProcess(pid, "SIGKILL");
    expect(await ok("exec", "c", "cat ~/data/new.txt /opt/empty/step-1")).toContain("| written\n| cached\n");
    await ok("stop", "-y", "c");
    await waitFor("rclone to end", () => rclones().length === 0);
    await ok("start", "-y", "c");
    expect(await ok("exec", "c", "cat ~/data/new.txt /data/part/a.txt /opt/empty/step-1")).toContain(
      "| written\n| one\n| cached\n",
    );
    const into = await sky("launch", "-y", "-c", "c", task("  ~/data/in: s3://data/part", "ls"));
    expectRefusal(into, { exitCode: 1, message: "~/data/in lies inside of ~/data, where s3://data is mounted" });
  });

  test("a place where the image has files is refused, and nothing is copied", { timeout: LONG_MS }, async () => {
    const file = task("  ~/in-image: {source: s3://data}", "ls");
    expectRefusal(await sky("launch", "-y", "-c", "c", file), {
      exitCode: 1,
      message: "!!! Failed mounting because path exists (/root/in-image)",
      hint: "It is part of the image: mount to another path.",
    });
    expect(rclones()).toHaveLength(4);
    expect(await ok("exec", "c", "cat ~/in-image/old; ls ~/in-image")).toContain("| of the imageold\n");
  });

  test(
    "lie in what is copied and in each other, at every launch and in a new container",
    { timeout: LONG_MS },
    async () => {
      const folder = dirname(sandbox.write("x/sent", ""));
      // The image has the first of them, and not the second.
      const mounts = `
  ~/in-image: ${folder}
  ~/in-image/mount: {source: s3://data}
  /opt/new: ${folder}
  /opt/new/below/mount: {source: s3://data}
  ~/outer: {source: s3://ckpt, mode: MOUNT_CACHED}
  ~/outer/inner: {source: s3://data}`;
      const look = `cat ~/in-image/old ~/in-image/sent ~/*/{mount,inner}/part/a.txt /opt/new/sent /opt/new/below/mount/part/a.txt
for at in ~/in-image/mount /opt/new ~/outer; do [[ -L $at ]] && echo $at is a link; done`;
      for (const text of ["first", "second", "third"]) {
        if (text === "third") podman.run("rm", "--force", "--time", "0", ...containers("d"));
        sandbox.write("x/sent", `${text}\n`);
        expect(await ok("launch", "-y", "-c", "d", task(mounts, look)), text).toContain(
          `| of the image${text}\n| one\n| one\n| ${text}\n| one\n| /root/in-image/mount is a link\n| /opt/new is a link\n| /root/outer is a link\n`,
        );
      }
      await ok("down", "-y", "d");
    },
  );

  test("`sky down` after the agent was killed leaves what is in the buckets", { timeout: LONG_MS }, async () => {
    const before = [await keysOf("data"), await keysOf("ckpt")];
    await sandbox.killServer();
    for (const { pid, argv } of sandbox.processes()) {
      if (/agent\.cjs daemon/u.test(argv.join(" "))) signalProcess(pid, "SIGKILL");
    }
    podman.startServer();
    await ok("down", "-y", "c");
    await waitFor("rclone to end", () => rclones().length === 0);
    expect([await keysOf("data"), await keysOf("ckpt")]).toEqual(before);
    expect(readdirSync(join(sandbox.home, ".sky/local")).filter((name) => name.startsWith("c-"))).toEqual([]);
    const server = sandbox.serverProcesses()[0]?.pid ?? 0;
    const left = readFileSync(`/proc/${server}/mountinfo`, "utf8")
      .split("\n")
      .filter((line) => line.includes(".sky/local"));
    expect(left).toEqual([]);
  });
});
