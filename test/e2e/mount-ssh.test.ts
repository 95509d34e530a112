import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { findRclone } from "../support/s3/rclone.ts";
import { MountRig, STATIC_SECRET, type Ran } from "../support/s3/mount-rig.ts";
import { filesBelow, findCanaries } from "./support/canaries.ts";
import { everythingOn } from "./support/host-places.ts";
import { namedLogs } from "./support/named-logs.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import { waitFor } from "./support/wait-for.ts";

const MOUNTS = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/data: {name: my-data, source: ./src}
  ~/part: {source: s3://extern/some/part, mode: MOUNT, config: {mount: {read_only: true}}}
  ~/copied: s3://extern/some
run: |
  cat ~/data/a.txt ~/part/inner.txt
  echo "rank $SKYPILOT_NODE_RANK" > ~/data/rank-$SKYPILOT_NODE_RANK.txt
  echo more >> ~/data/rank-$SKYPILOT_NODE_RANK.txt
  echo no > ~/part/no 2>/dev/null || echo read only
  env > ~/env-of-the-job; cmp ~/copied/part/inner.txt ~/part/inner.txt
`;

const CACHED = `
resources: {infra: ssh/rack}
file_mounts:
  ~/ckpt: {source: s3://cached, mode: MOUNT_CACHED, type: MODEL_CHECKPOINT_RW, config: {mount_cached: {vfs_write_back: 4s}}}
run: |
  for i in 1 2 3; do mkdir -p ~/ckpt/step-$i; head -c 300000 /dev/urandom > ~/ckpt/step-$i/weights; done
  mv ~/ckpt/step-3 ~/ckpt/last; sync; ls ~/ckpt; echo "härte 1 + 2" > "$HOME/ckpt/ünï cöde.txt"; exit 3
`;

describeWithFleet("buckets mounted on machines over SSH", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }, { name: "b", hasOldRclone: true }]);
    await rig.createBucket("extern", { "some/part/inner.txt": "inner\n", "other.txt": "other\n" });
    await rig.createBucket("cached");
    rig.pool.sandbox.write("src/a.txt", "one\n");
    await rig.begin();
  });

  afterAll(() => rig?.dispose());

  it("are there for setup and run, whole or a part, to read and to write", async () => {
    const text = await rig.launch("c", MOUNTS);
    expect(text).toContain("Nodes mount buckets with keys for these alone, by a federation token of");
    expect(text).toContain("  Mounting (to 2 nodes): s3://my-data -> ~/data\n");
    expect(text).toContain("✓ Storage mounted.");
    // Where neither node nor server can have a newer one, as here.
    expect(text).toMatch(
      /^ {2}Nodes mount by the rclone that is installed there, which is old\. On .*: The node has rclone v1\.\d+, and the newer v1\.75\.1 could not be had: it cannot be fetched: /mu,
    );
    expect(text).not.toContain("has no rclone");
    expect(text).toMatch(
      /-> ~\/copied\n✓ Synced file_mounts\. {2}View logs: .*\n[^]*✓ Storage mounted\. {2}View logs: /u,
    );
    const logs = await namedLogs(text, (...args) => rig.sky(...args));
    expect(Object.keys(logs).toSorted()).toEqual(["file_mounts.log", "storage_mounts.log", "storage_sync.log"]);
    const mounted = logs["storage_mounts.log"];
    const keys = "with keys for it alone, by a federation token of ";
    expect(mounted).toContain(` Mounted s3://my-data at ~/data on 2 nodes: MOUNT, to read and write, ${keys}`);
    expect(mounted).toContain(` Mounted s3://extern/some/part at ~/part on 2 nodes: MOUNT, to read only, ${keys}`);
    expect(mounted).toContain(" Nodes mount by the rclone that is installed there, which is old. On ");
    const own = findRclone() === undefined ? "/usr/bin/rclone" : "/usr/local/bin/rclone";
    expect(rig.mounters("a").map(({ argv }) => argv[0])).toEqual([own, own]);
    expect(rig.mounters("b").map(({ argv }) => argv[0])).toEqual(["/usr/bin/rclone", "/usr/bin/rclone"]);
    expect(text.match(/\) (?:one|inner|read only)$/gmu)).toHaveLength(6);
    expect(await rig.textOf("my-data", "rank-0.txt")).toBe("rank 0\nmore\n");
    expect(await rig.textOf("my-data", "rank-1.txt")).toBe("rank 1\nmore\n");
    expect(await rig.on("a", "ls ~/part")).toBe("inner.txt\n");
  });

  /** For buckets that are encrypted with a customer's key. */
  const keysOfKms = (bucket: string, Action: readonly string[]): object => ({
    Effect: "Allow",
    Action,
    Resource: ["*"],
    Condition: {
      StringLike: {
        "kms:ViaService": ["s3.us-east-1.amazonaws.com*"],
        "kms:EncryptionContext:aws:s3:arn": [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
      },
    },
  });

  it("with keys that reach nothing else", async () => {
    expect(rig.front.refusals).toEqual([]);
    const policies = [...rig.front.sessions.values()].map(({ statements }) => JSON.stringify(statements));
    expect(new Set(policies)).toEqual(
      new Set([
        JSON.stringify([
          { Effect: "Allow", Action: ["s3:ListBucket"], Resource: ["arn:aws:s3:::my-data"] },
          {
            Effect: "Allow",
            Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            Resource: ["arn:aws:s3:::my-data/*"],
          },
          keysOfKms("my-data", ["kms:Decrypt", "kms:GenerateDataKey"]),
        ]),
        JSON.stringify([
          {
            Effect: "Allow",
            Action: ["s3:ListBucket"],
            Resource: ["arn:aws:s3:::extern"],
            Condition: { StringLike: { "s3:prefix": ["some/part", "some/part/*"] } },
          },
          { Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::extern/some/part/*"] },
          keysOfKms("extern", ["kms:Decrypt"]),
        ]),
      ]),
    );
  });

  it("a program that dies is started again, and a job waits for it", async () => {
    expect(rig.pool.fleet.host("a").signal(/rclone.*my-data/u, "SIGKILL")).toBe(1);
    const { text, exitCode } = await rig.sky("exec", "c", "cat ~/data/a.txt");
    expect(exitCode, text).toBe(0);
    expect(text).toContain(") one\n");
  });

  it("a job ends when its cached files are in the bucket, with its own exit code", async () => {
    const file = rig.pool.sandbox.write("cached.yaml", CACHED);
    const { text, exitCode } = await rig.sky("launch", "-y", "-c", "cached", file);
    expect(exitCode, text).toBe(100);
    expect(text).toContain("skypilot: cached mount upload complete (took ");
    expect(await rig.keysOf("cached")).toEqual(
      ["last/weights", "step-1/weights", "step-2/weights", "ünï cöde.txt"].sort(),
    );
    expect(await rig.textOf("cached", "ünï cöde.txt")).toBe("härte 1 + 2\n");
  });

  it("no disk, log, database, variable or command line holds a key, or a URL that is one", async () => {
    const { sandbox, hosts } = rig.pool;
    // A job that runs, with all that a job is given.
    await rig.sky("exec", "c", "-d", "sleep 300");
    const jobs = (): boolean => hosts.some((host) => host.processes().some(({ argv }) => argv.includes("300")));
    await waitFor("the job to run", jobs);
    const issued = [...rig.front.sessions.values()].flatMap(({ secret, token }) => [secret, token]);
    expect(issued.length).toBeGreaterThan(0);
    // Whoever has a signed URL may read what it names.
    const secrets = [STATIC_SECRET, ...issued, "X-Amz-Signature", "x-amz-security-token"];
    const places = new Map(filesBelow(sandbox.root, () => false));
    for (const host of hosts) for (const [place, text] of await everythingOn(host)) places.set(place, text);
    for (const { pid, argv } of sandbox.processes()) places.set(`process ${pid}`, argv.join("\0"));
    const names = [...places.keys()];
    for (const kind of [
      /mounts\.json$/u,
      /env-of-the-job$/u,
      /state\.sqlite/u,
      /server\.log$/u,
      /variables of .*rclone/u,
    ]) {
      expect(names.filter((place) => kind.test(place)).length, String(kind)).toBeGreaterThan(0);
    }
    expect(findCanaries(places, secrets)).toEqual([]);
    await rig.sky("cancel", "-y", "c", "-a");
  });

  it("what cannot be mounted is refused with what to do", async () => {
    const refused = async (mount: string, dest = "~/x"): Promise<Ran> => {
      const yaml = `resources: {infra: ssh/rack}\nfile_mounts:\n  ${dest}: ${mount}\nrun: ls\n`;
      return rig.sky("launch", "-y", "-c", "cached", rig.pool.sandbox.write("bad.yaml", yaml));
    };
    for (const host of ["a", "b"]) await rig.on(host, "mkdir -p /tmp/full; echo mine > /tmp/full/file");
    expectRefusal(await refused("{source: s3://cached}", "/tmp/full"), {
      exitCode: 1,
      message: "Mount path /tmp/full is non-empty.",
    });
    expect(await rig.on("a", "cat /tmp/full/file")).toBe("mine\n");
    expectRefusal(await refused("{source: s3://cached}", "/data"), {
      exitCode: 1,
      message: "This user may not make /data on the node.",
      hint: "Mount below ~ or /tmp instead.",
    });
    expectRefusal(await refused("{source: s3://nope-nope}"), {
      exitCode: 1,
      message: "Attempted to use a non-existent bucket as a source: s3://nope-nope.",
    });
  });

  it("a session needs a role that the config names, and says so before anything is launched", async () => {
    const { sandbox } = rig.pool;
    const session = { AWS_ACCESS_KEY_ID: "ASIASESSION", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" };
    const as = async (...args: readonly string[]): Promise<Ran> => {
      const result = await sandbox.sky(args, { env: sandbox.env({ ...rig.env, ...session }) });
      return { ...result, text: plainText(result.stdout + result.stderr) };
    };
    const yaml = "resources: {infra: ssh/rack}\nfile_mounts:\n  ~/s: {source: s3://cached}\nrun: ls ~/s\n";
    const file = sandbox.write("session.yaml", yaml);
    expectRefusal(await as("launch", "-y", "-c", "never", file), {
      exitCode: 1,
      message: "s3://cached cannot be mounted at ~/s. The nodes cannot get keys for the bucket: credentials of",
      hint: "aws.bucket_role",
    });
    expect((await rig.sky("status")).text).not.toContain("never");
    expect((await as("check", "aws", "-v")).text).toContain(
      "Mounted buckets: on EC2 by the nodes' role, elsewhere not (a session cannot be cut down to a bucket; set aws.bucket_role)",
    );
    expect((await rig.sky("check", "aws", "-v")).text).toContain(
      "Mounted buckets: on EC2 by the nodes' role, elsewhere by a federation token, cut down to the bucket",
    );
    const role = "arn:aws:iam::123456789012:role/skypilot-buckets";
    sandbox.write("../home/.sky/config.yaml", `aws:\n  bucket_role: ${role}\n`);
    const { text, exitCode } = await as("launch", "-y", "-c", "cached", file);
    rmSync(join(sandbox.home, ".sky/config.yaml"));
    expect(exitCode, text).toBe(0);
    expect(text).toContain(`Nodes mount buckets with keys for these alone, by role ${role}; this server renews them.`);
    expect(text).toContain(") last\n");
    expect(rig.front.assumed).toContainEqual({ role, hasPolicy: true });
  });

  it("go with the cluster, and what is in the buckets stays", async () => {
    const before = await rig.keysOf("my-data");
    const { text, exitCode } = await rig.sky("down", "-y", "c", "cached");
    expect(exitCode, text).toBe(0);
    for (const host of ["a", "b"]) {
      const left = "grep fuse /proc/mounts; ls -A ~ | grep -v '^[.]' | grep -vx -e copied -e env-of-the-job; true";
      expect(await rig.on(host, left), host).toBe("");
      const isGone = (): boolean =>
        rig.pool.fleet
          .host(host)
          .processes()
          .every(({ argv }) => !argv.join(" ").includes("rclone"));
      await waitFor("rclone to end", isGone);
    }
    expect(await rig.keysOf("my-data")).toEqual(before);
    expect(await rig.keysOf("extern")).toEqual(["other.txt", "some/part/inner.txt"]);
  });
});
