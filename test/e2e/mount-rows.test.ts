import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { BucketRig, type Ran } from "../support/s3/bucket-rig.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";

const ROLE = "arn:aws:iam::123456789012:role/dev";
const BUCKET_ROLE = "arn:aws:iam::123456789012:role/skypilot-buckets";
const KEYS = { AWS_ACCESS_KEY_ID: "AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };
const SESSION = { AWS_ACCESS_KEY_ID: "ASIASESSION", AWS_SECRET_ACCESS_KEY: "secret", AWS_SESSION_TOKEN: "token" };
const ON_EC2 = "on EC2 by the nodes' role, elsewhere";

interface Row {
  readonly what: string;
  readonly env: Readonly<Record<string, string>>;
  /** `aws:` of ~/.sky/config.yaml. */
  readonly config?: string;
  /** `sky check aws -v`, for the clusters that `checkOf` names; absent = for all. */
  readonly check: string;
  readonly checkOf?: string;
  /** `sky launch`; an object = how it is refused. */
  readonly launch: string | { readonly message: string; readonly hint: RegExp };
}

const A_SESSION = {
  message: "The nodes cannot get keys for the bucket: credentials of",
  hint: /aws\.bucket_role.*mode: COPY/u,
};
const NO_UPLOAD = "aws.remote_identity: NO_UPLOAD keeps keys of AWS off the nodes";
const FORBIDDEN = { message: `${NO_UPLOAD}.`, hint: /mode: COPY.*on EC2.*give aws\.remote_identity another value/u };

/** The matrix of docs/aws/s3.md, in its order, as nodes elsewhere than on EC2 see it. */
const ROWS: readonly Row[] = [
  {
    what: "keys of a user with aws.remote_identity: NO_UPLOAD",
    env: KEYS,
    config: "remote_identity: NO_UPLOAD",
    check: `${ON_EC2} not (${NO_UPLOAD})`,
    launch: FORBIDDEN,
  },
  {
    what: "a session with aws.bucket_role and aws.remote_identity: NO_UPLOAD for this cluster",
    env: SESSION,
    config: `bucket_role: ${BUCKET_ROLE}\n  remote_identity: [{"r?w": no_upload}]`,
    check: `${ON_EC2} not (${NO_UPLOAD})`,
    checkOf: "clusters r?w",
    launch: FORBIDDEN,
  },
  {
    what: "a session with aws.bucket_role",
    env: SESSION,
    config: `bucket_role: ${BUCKET_ROLE}`,
    check: `everywhere by ${BUCKET_ROLE} (aws.bucket_role), cut down to the bucket`,
    launch: `with keys for these alone, by role ${BUCKET_ROLE}; this server renews them.`,
  },
  {
    what: "keys of a user with aws.remote_identity: LOCAL_CREDENTIALS",
    env: KEYS,
    config: "remote_identity: LOCAL_CREDENTIALS",
    check: "everywhere by these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS)",
    launch: "with these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS), in memory alone.",
  },
  {
    what: "a session with aws.remote_identity: LOCAL_CREDENTIALS for this cluster",
    env: SESSION,
    config: 'remote_identity: [{"dev-*": NO_UPLOAD}, {"*": LOCAL_CREDENTIALS}]',
    check: "everywhere by these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS)",
    checkOf: "other clusters",
    launch: "with these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS), in memory alone.",
  },
  {
    what: "keys of a user in variables",
    env: KEYS,
    check: `${ON_EC2} by a federation token, cut down to the bucket`,
    launch:
      "with keys for these alone, by a federation token of the environment (AWS_ACCESS_KEY_ID); this server renews them.",
  },
  {
    what: "keys of a user in a file",
    env: { AWS_PROFILE: "static" },
    check: `${ON_EC2} by a federation token, cut down to the bucket`,
    launch: "with keys for these alone, by a federation token of",
  },
  {
    what: "a profile with role_arn",
    env: { AWS_PROFILE: "role" },
    check: `${ON_EC2} by ${ROLE}, cut down to the bucket`,
    launch: `with keys for these alone, by role ${ROLE}; this server renews them.`,
  },
  {
    what: "a session in variables",
    env: SESSION,
    check: `${ON_EC2} not (a session cannot be cut down to a bucket; set aws.bucket_role)`,
    launch: A_SESSION,
  },
  {
    what: "a credential_process",
    env: { AWS_PROFILE: "process" },
    check: `${ON_EC2} not (a session cannot be cut down to a bucket; set aws.bucket_role)`,
    launch: A_SESSION,
  },
];

describe.skipIf(findMoto() === undefined)("which keys nodes get for mounts", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    await rig.createBucket("data", { "a.txt": "one\n" });
    const process = JSON.stringify({ Version: 1, AccessKeyId: "AKIAPROCESS", SecretAccessKey: "secret" });
    rig.sandbox.write("../home/.aws/process.json", process);
    rig.sandbox.write(
      "../home/.aws/credentials",
      "[static]\naws_access_key_id = AKIASTATIC\naws_secret_access_key = secret\n",
    );
    rig.sandbox.write(
      "../home/.aws/config",
      `[profile role]\nrole_arn = ${ROLE}\nsource_profile = static\n` +
        `[profile process]\ncredential_process = cat ${rig.sandbox.home}/.aws/process.json\n`,
    );
    // Of the commands' credentials it has none.
    await rig.sandbox.killServer();
    await rig.sandbox.startServer(only({}));
  });

  afterAll(() => rig?.dispose());

  function only(env: Readonly<Record<string, string>>): Record<string, string> {
    return { AWS_ENDPOINT_URL: rig.moto.url, AWS_EC2_METADATA_DISABLED: "true", AWS_REGION: "us-east-1", ...env };
  }

  it.each(ROWS)("$what", { timeout: 120_000 }, async ({ env, config, check, checkOf, launch }) => {
    const as = async (...args: readonly string[]): Promise<Ran> => {
      const result = await rig.sandbox.sky(args, { env: rig.sandbox.env(only(env)) });
      return { ...result, text: plainText(result.stdout + result.stderr) };
    };
    const file = join(rig.sandbox.home, ".sky/config.yaml");
    if (config === undefined) rmSync(file, { force: true });
    else rig.sandbox.write("../home/.sky/config.yaml", `aws:\n  ${config}\n`);
    expect((await as("check", "aws", "-v")).text).toContain(
      `    Mounted buckets${checkOf === undefined ? "" : ` (${checkOf})`}: ${check}\n`,
    );
    const task = (mount: string): string =>
      rig.sandbox.write("row.yaml", `resources: {infra: local}\nfile_mounts: {~/d: ${mount}}\nrun: cat ~/d/a.txt\n`);
    const mounted = await as("launch", "-y", "-c", "row", task("{source: s3://data}"));
    if (typeof launch !== "string") {
      const message = `s3://data cannot be mounted at ~/d. ${launch.message}`;
      expectRefusal(mounted, { exitCode: 1, message, hint: launch.hint });
      expect((await as("status")).text).not.toContain("row");
      expect((await as("launch", "-y", "-c", "row", task("s3://data"))).text).toContain(") one\n");
    } else {
      expect(mounted.exitCode, mounted.text).toBe(0);
      expect(mounted.text).toContain(`Nodes mount buckets ${launch}`);
      expect(mounted.text).toContain(") one\n");
    }
    expect((await as("down", "-y", "row")).exitCode).toBe(0);
  });
});
