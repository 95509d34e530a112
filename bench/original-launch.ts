/** Runs SkyPilot 0.14.1's own launch on EC2 against the server that plays AWS, to count its calls. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatCatalogCsv } from "../src/catalog/format-csv.ts";
import { decodeSnapshot } from "../src/catalog/snapshot-file.ts";
import type { Reference } from "../test/e2e/support/reference.ts";
import { waitFor } from "../test/e2e/support/wait-for.ts";
import type { MotoFleet } from "../test/support/aws/moto-fleet.ts";
import { writeProfile } from "../test/support/aws/profile.ts";

const TIMEOUT_MS = 240_000;

export interface OriginalLaunch {
  /** Calls to AWS, up to the one for the instance, which is counted. */
  readonly calls: number;
  /** From Enter to that call. */
  readonly runInstancesMs: number;
}

/** What it would fetch from its own site: the catalog, here ours, and the image of its nodes, here one that moto knows. */
function installCatalog(home: string): void {
  const directory = join(home, ".sky", "catalogs", "v8", "aws");
  mkdirSync(directory, { recursive: true });
  const { table } = decodeSnapshot(readFileSync(new URL("../src/catalog/snapshots/aws.catalog", import.meta.url)));
  writeFileSync(join(directory, "vms.csv"), formatCatalogCsv(table));
  const image = ["skypilot:custom-cpu-ubuntu", "us-east-1", "ubuntu", "22.04", "ami-0000000000000a001", "20261001", ""];
  const columns = "Tag,Region,OS,OSVersion,ImageId,CreationDate,BaseImageId";
  writeFileSync(join(directory, "images.csv"), `${columns}\n${image.join(",")}\n`);
  const quota = "InstanceType,OnDemandInstanceCode,SpotInstanceCode\nm6i.large,L-1216C47A,L-34B43A08\n";
  writeFileSync(join(directory, "instance_quota_mapping.csv"), quota);
}

/** A first launch of somebody who has used nothing before, with a server that runs. The instance is left to moto. */
export async function launchByOriginal(aws: MotoFleet, reference: Reference): Promise<OriginalLaunch> {
  const { fleet, proxy } = aws;
  const home = join(fleet.root, "original-home");
  mkdirSync(home);
  writeProfile(home, aws.url);
  installCatalog(home);
  const env = {
    PATH: `${join(reference.python, "..")}:${process.env["PATH"] ?? ""}`,
    HOME: home,
    LANG: "C.UTF-8",
    SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
    AWS_ENDPOINT_URL: aws.url,
  };
  const serve = [reference.python, "-m", "sky.server.server", "--host=127.0.0.1", "--port=46580"];
  // Its stop command looks for servers among all processes that it can see.
  const server = fleet.start(["unshare", "-p", "-f", "--kill-child", "--mount-proc", ...serve], {
    env,
    timeoutMs: 2 * TIMEOUT_MS,
  });
  try {
    const probe = ["curl", "-s", "-f", "-m", "1", "http://127.0.0.1:46580/api/health"];
    await waitFor("the original's server", async () => (await fleet.run(probe, { env })).exitCode === 0, {
      timeoutMs: 90_000,
    });
    proxy.calls.length = 0;
    const startedMs = Date.now();
    const argv = [
      "sky",
      "launch",
      "-y",
      "-c",
      "original",
      "--infra",
      "aws/us-east-1",
      "--cpus",
      "2",
      "echo first line",
    ];
    const client = fleet.start(argv, {
      env: { ...env, SKYPILOT_DISABLE_LOCAL_API_SERVER: "1" },
      timeoutMs: TIMEOUT_MS,
      onOutput: (t) => process.stderr.write(t),
    });
    try {
      const isAsked = (): boolean => proxy.calls.some(({ action }) => action === "ec2:RunInstances");
      await waitFor("the original to ask for an instance", isAsked, { timeoutMs: TIMEOUT_MS });
      const calls = proxy.calls.findIndex(({ action }) => action === "ec2:RunInstances") + 1;
      return { calls, runInstancesMs: (proxy.calls[calls - 1]?.atMs ?? 0) - startedMs };
    } finally {
      client.kill("SIGKILL");
      await client.result;
    }
  } finally {
    server.kill("SIGKILL");
    await server.result;
  }
}
