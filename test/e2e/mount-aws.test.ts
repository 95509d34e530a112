import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import type { Host } from "../fleet/host.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { S3Front } from "../support/s3/s3-front.ts";
import { filesBelow, findCanaries } from "./support/canaries.ts";
import { everythingOn } from "./support/host-places.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import { waitFor } from "./support/wait-for.ts";

const METADATA = fileURLToPath(new URL("../support/aws/instance-metadata.ts", import.meta.url));
const ROLE_KEY = "ASIANODEROLE00000001";
const TASK = `
resources: {infra: aws/us-east-1, cpus: 2}
file_mounts:
  /data: {source: s3://data}
run: cat /data/a.txt; echo written > /data/b.txt
`;

describeWithFleet("buckets mounted on EC2", () => {
  let aws: MotoFleet;
  let user: AwsUser;
  let s3: S3Client;
  let front: S3Front;
  const ending = new AbortController();
  let serving: Promise<void> | undefined;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: aws.moto.url, credentials, forcePathStyle: true });
    await aws.moto.createBucket("data");
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "a.txt", Body: "one\n" }));
    front = await S3Front.open(aws.fleet, aws.moto.url);
    const config = [
      `[default]\nregion = us-east-1\nendpoint_url = ${aws.url}\nservices = here\n`,
      `[services here]\ns3 =\n  endpoint_url = ${front.url}\nsts =\n  endpoint_url = ${front.url}\n`,
    ];
    user.sandbox.write("../home/.aws/config", config.join(""));
    user.sandbox.write("task.yaml", TASK);
    await user.sky("check", "aws");
    serving = serveMetadata("skypilot-v1", ending.signal);
  }, 120_000);

  afterAll(async () => {
    ending.abort();
    await serving;
    s3?.destroy();
    await user?.dispose();
    await front?.close();
    await aws?.dispose();
  });

  /** Gives each machine that comes up the metadata service of its role. */
  async function serveMetadata(role: string, signal: AbortSignal): Promise<void> {
    const served = new Set<Host>();
    while (!signal.aborted) {
      for (const host of aws.fleet.hosts) {
        if (!host.isOn) served.delete(host);
        if (!host.isOn || served.has(host)) continue;
        served.add(host);
        await host.exec(["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"]);
        const keys = {
          Code: "Success",
          Type: "AWS-HMAC",
          AccessKeyId: ROLE_KEY,
          SecretAccessKey: "node-secret",
          Token: "node-token",
          LastUpdated: new Date().toISOString(),
          Expiration: new Date(Date.now() + 6 * 3_600_000).toISOString(),
        };
        let isReady = false;
        const onOutput = (): void => void (isReady = true);
        // A fresh machine has no Node.
        host.writeFile("/opt/metadata/node", readFileSync(process.execPath), { mode: 0o755 });
        host.writeFile("/opt/metadata/service.ts", readFileSync(METADATA));
        const command = ["/opt/metadata/node", "/opt/metadata/service.ts", role, JSON.stringify(keys)];
        void host.start(command, { onOutput, timeoutMs: 3_600_000 }).result.catch(() => undefined);
        await waitFor("the metadata service", () => isReady);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function textOf(key: string): Promise<string | undefined> {
    const object = await s3.send(new GetObjectCommand({ Bucket: "data", Key: key }));
    return object.Body?.transformToString();
  }

  /** A job goes on with a file that it has open in the mount while the cluster is launched again. */
  async function holdOpen(cluster: string): Promise<void> {
    const [host] = aws.fleet.hosts.filter((one) => one.isOn);
    if (host === undefined) throw new Error("no machine is on");
    const mounters = (): number[] =>
      host.processes().flatMap(({ argv, pid }) => (argv.includes("mount") && argv.includes(":s3:data") ? [pid] : []));
    const before = mounters();
    expect(before).toHaveLength(1);
    const script =
      "exec 3>>/data/held.txt; echo begun >&3; touch /tmp/held; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended >&3";
    await user.sky("exec", "-d", cluster, script);
    const isThere = async (path: string): Promise<boolean> => (await host.exec(["ls", path])).exitCode === 0;
    await waitFor("the job", () => isThere("/tmp/held"));
    await user.sky("launch", "-y", "-c", cluster, "task.yaml");
    expect(mounters()).toEqual(before);
    await host.exec(["touch", "/tmp/go"]);
    await waitFor("the file", async () => (await textOf("held.txt").catch(() => "")) === "begun\nended\n");
  }

  /** The log that the line of the mounts names. */
  async function mountLog(launched: string): Promise<string> {
    const path = /Storage mounted\. {2}View logs: sky api logs -l (\S+)/u.exec(launched)?.[1] ?? "";
    return plainText(await user.sky("api", "logs", "--no-follow", "-l", path));
  }

  it("by the role of the nodes", { timeout: 300_000 }, async () => {
    const text = plainText(await user.sky("launch", "-y", "-c", "mine", "task.yaml"));
    expect(text).toContain(
      "Nodes mount buckets by their own role where it reaches them, else with keys for these alone",
    );
    expect(text).toContain(") one\n");
    expect(await textOf("b.txt")).toBe("written\n");
    expect(await mountLog(text)).toMatch(/ Mounted s3:\/\/data at \/data on .*, by the nodes' own role\.$/mu);
    expect(front.usedSince(0)).toContain(ROLE_KEY);
    // Nothing but the look before the launch was lent.
    expect(front.requests.filter((line) => line.startsWith("ASIALENT"))).toEqual([]);
    await user.sky("stop", "-y", "mine");
    await user.sky("start", "-y", "mine");
    expect(await user.sky("exec", "mine", "cat /data/a.txt /data/b.txt")).toContain("written");
    await user.sky("down", "-y", "mine");

    // A role that may not list the bucket.
    front.sessions.set(ROLE_KEY, { statements: [], secret: "node-secret", token: "node-token" });
    const other = plainText(await user.sky("launch", "-y", "-c", "other", "task.yaml"));
    expect(other).toContain(
      "The nodes' own role does not reach s3://data: they get keys for it alone, by a federation token",
    );
    expect(other).toContain(") one\n");
    expect(await mountLog(other)).toMatch(
      / The nodes' own role does not reach s3:\/\/data: .*\n.* Mounted .*, with keys for it alone, by a federation token/u,
    );
    const lent = [...front.sessions].filter(([id]) => id.startsWith("ASIALENT"));
    expect(lent.length).toBeGreaterThan(0);
    const places = new Map(filesBelow(user.sandbox.root, () => false));
    for (const host of aws.fleet.hosts.filter((one) => one.isOn)) {
      for (const [place, text] of await everythingOn(host)) places.set(place, text);
    }
    expect([...places.keys()].some((place) => place.endsWith("mounts.json"))).toBe(true);
    const secrets = lent.flatMap(([, { secret, token }]) => [secret, token]);
    expect(findCanaries(places, secrets)).toEqual([]);
    await holdOpen("other");
    await user.sky("down", "-y", "other");
    front.sessions.delete(ROLE_KEY);
    expect(aws.errors).toEqual([]);
  });

  it("by the role of the nodes or not at all, with aws.remote_identity: NO_UPLOAD", { timeout: 300_000 }, async () => {
    const noUpload = "aws.remote_identity: NO_UPLOAD keeps keys of AWS off the nodes.";
    const config = readFileSync(join(user.sandbox.home, ".sky/config.yaml"), "utf8");
    const strict = config.replace(/^aws:\n/mu, "aws:\n  remote_identity: NO_UPLOAD\n");
    user.sandbox.write("../home/.sky/config.yaml", strict);
    const lent = (): number => [...front.sessions.keys()].filter((id) => id.startsWith("ASIALENT")).length;
    const before = lent();
    const text = plainText(await user.sky("launch", "-y", "-c", "strict", "task.yaml"));
    expect(text).toContain(
      "Only nodes on AWS can mount s3://data, by their own role; on others this launch will fail: ",
    );
    expect(text).toContain(noUpload);
    expect(text).toContain(") one\n");
    await user.sky("down", "-y", "strict");

    // A role that may not list the bucket.
    front.sessions.set(ROLE_KEY, { statements: [], secret: "node-secret", token: "node-token" });
    const refused = await user.sandbox.sky(["launch", "-y", "-c", "strict", "task.yaml"]);
    expectRefusal(refused, {
      exitCode: 1,
      message: /s3:\/\/data cannot be mounted at \/data\. By the nodes' own role: .* With keys: .*NO_UPLOAD/u,
      hint: "Let the nodes' role use the bucket",
    });
    expect(lent()).toBe(before);
    await user.sky("down", "-y", "strict");
    front.sessions.delete(ROLE_KEY);
    user.sandbox.write("../home/.sky/config.yaml", config);
    expect(aws.errors).toEqual([]);
  });

  it("public ones of others are copied to them unsigned", { timeout: 300_000 }, async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "open", ACL: "public-read" }));
    await s3.send(new PutObjectCommand({ Bucket: "open", Key: "set/o.txt", Body: "open\n", ACL: "public-read" }));
    // The caller may do everything but that.
    front.base = [
      { Effect: "Allow", Action: ["*"], Resource: ["*"] },
      { Effect: "Deny", Action: ["s3:*"], Resource: ["arn:aws:s3:::open", "arn:aws:s3:::open/*"] },
    ];
    const mounts = "file_mounts: {~/set: s3://open/set, ~/o.txt: s3://open/set/o.txt}";
    const yaml = `resources: {infra: aws/us-east-1, cpus: 2}\nnum_nodes: 2\n${mounts}\nrun: cat ~/set/o.txt ~/o.txt\n`;
    user.sandbox.write("open.yaml", yaml);
    const text = plainText(await user.sky("launch", "-y", "-c", "open", "open.yaml"));
    expect(text).toContain(
      "These AWS credentials may not read s3://open/set, which is public: it is read without them.",
    );
    expect(text.match(/\) open$/gmu)).toHaveLength(4);
    expect(front.requests.filter((line) => line.includes(" /open/set/"))).toEqual([]);
    await user.sky("down", "-y", "open");
    front.base = undefined;
  });
});
