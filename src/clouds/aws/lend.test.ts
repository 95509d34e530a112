import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAwsHome, type AwsHome } from "../../../test/support/aws/aws-home.ts";
import { openCatalogs } from "../../../test/support/catalogs.ts";
import { AwsAuth } from "./auth/auth-session.ts";
import type { Borrower, CloudContext } from "../../core/ports/cloud.ts";
import { systemClock } from "../../shared/clock.ts";
import { createAwsCloud } from "./index.ts";
import { describeMounts } from "./lend.ts";

const SESSION = { AWS_ACCESS_KEY_ID: "ASIASESSION", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" };
const OWN_SERVER = { AWS_ENDPOINT_URL_S3: "https://s3.example.com" };
const NO_UPLOAD = "aws.remote_identity: NO_UPLOAD keeps keys of AWS off the nodes";
const ROLE = "arn:aws:iam::123456789012:role/buckets";

let home: AwsHome;

beforeEach(() => {
  home = makeAwsHome();
});
afterEach(() => home.remove());

type Fields = Readonly<Record<string, unknown>>;
type Variables = Readonly<Record<string, string>>;

function contextOf(aws: Fields, workspaces: Fields = {}): CloudContext {
  return { workspace: "team", config: { aws, workspaces }, env: {}, signal: new AbortController().signal };
}

/** What a cluster gets by credentials that are a session, which the config alone makes good for anything. */
async function lend(context: CloudContext, cluster: Partial<Borrower>, env: Variables = {}): Promise<string> {
  const cloud = createAwsCloud({
    home: home.path,
    env: { ...SESSION, ...env },
    catalogs: openCatalogs(home.path),
  });
  const wish = { policy: "{}", sessionName: "sky-c", cluster: { clusterName: "train-1", ...cluster } };
  try {
    const keys = await cloud.serviceAccess?.("s3", context).lend?.(wish);
    return keys?.isUncut === true ? `own keys ${keys.accessKeyId}` : "others";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function outcome(text: string): string {
  if (text.startsWith(NO_UPLOAD)) return "forbidden";
  return text.includes("cannot be cut down to a bucket") ? "no way" : text;
}

describe("whose keys nodes get for mounts", () => {
  const LISTED = [{ "prod-*": "NO_UPLOAD" }, { "train-?": "local_credentials" }, { "*": "some-profile" }];

  it.each([
    ["LOCAL_CREDENTIALS", {}, "own keys ASIASESSION"],
    ["local_credentials", {}, "own keys ASIASESSION"],
    ["NO_UPLOAD", {}, "forbidden"],
    ["no_upload", {}, "forbidden"],
    ["SERVICE_ACCOUNT", {}, "no way"],
    [[{ "*": "LOCAL_CREDENTIALS" }], {}, "own keys ASIASESSION"],
    [LISTED, {}, "own keys ASIASESSION"],
    [LISTED, { clusterName: "prod-1" }, "forbidden"],
    [LISTED, { clusterName: "other" }, "no way"],
  ] as const)("aws.remote_identity %j, cluster %j: %s", async (remote_identity, cluster, expected) => {
    expect(outcome(await lend(contextOf({ remote_identity }), cluster))).toBe(expected);
  });

  it("lets the workspace, the region and the task win, as the settings of nodes do", async () => {
    const regional = { region_configs: { "eu-west-1": { remote_identity: "LOCAL_CREDENTIALS" } } };
    const there = { cloud: "aws", region: "eu-west-1" };
    expect(outcome(await lend(contextOf(regional), there))).toBe("own keys ASIASESSION");
    expect(outcome(await lend(contextOf(regional), { ...there, region: "us-east-1" }))).toBe("no way");
    // A pool of another cloud may have the name of a region.
    expect(outcome(await lend(contextOf(regional), { ...there, cloud: "ssh" }))).toBe("no way");
    const task = { config: { aws: { remote_identity: "NO_UPLOAD" } } };
    expect(outcome(await lend(contextOf(regional), { ...there, ...task }))).toBe("forbidden");
    const workspaces = { team: { aws: { remote_identity: "NO_UPLOAD" } } };
    const own = contextOf({ remote_identity: "LOCAL_CREDENTIALS" }, workspaces);
    expect(outcome(await lend(own, {}))).toBe("forbidden");
  });

  it("NO_UPLOAD holds also for a role of buckets, and for a server of the user's own", async () => {
    const context = contextOf({ remote_identity: "NO_UPLOAD", bucket_role: ROLE });
    expect(outcome(await lend(context, {}))).toBe("forbidden");
    expect(outcome(await lend(context, {}, OWN_SERVER))).toBe("forbidden");
  });
});

describe("what `check -v` says of mounts", () => {
  function describeAs(aws: Fields, env: Variables = {}): readonly string[] {
    const auth = new AwsAuth({
      home: home.path,
      env: { ...SESSION, ...env },
      clock: systemClock,
    });
    const context = contextOf(aws);
    return describeMounts(auth.open(context), context);
  }

  it("names NO_UPLOAD, and what is left then", () => {
    const aws = { remote_identity: "NO_UPLOAD", bucket_role: ROLE };
    expect(describeAs(aws)).toEqual([`Mounted buckets: on EC2 by the nodes' role, elsewhere not (${NO_UPLOAD})`]);
    expect(describeAs(aws, OWN_SERVER)).toEqual([`Mounted buckets: not (${NO_UPLOAD})`]);
  });

  it("has a line for each pattern of clusters where these differ", () => {
    const own = "everywhere by these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS)";
    const none =
      "on EC2 by the nodes' role, elsewhere not (a session cannot be cut down to a bucket; set aws.bucket_role)";
    expect(describeAs({ remote_identity: [{ "*": "LOCAL_CREDENTIALS" }] })).toEqual([`Mounted buckets: ${own}`]);
    expect(describeAs({ remote_identity: [{ "prod-*": "prod-nodes" }, { "*": "skypilot-v1" }] })).toEqual([
      `Mounted buckets: ${none}`,
    ]);
    expect(describeAs({ remote_identity: [{ "dev-*": "local_credentials" }] })).toEqual([
      `Mounted buckets (clusters dev-*): ${own}`,
      `Mounted buckets (other clusters): ${none}`,
    ]);
  });
});
