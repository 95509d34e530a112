import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeAws } from "../support/aws/fake-aws.ts";
import { writeBrowser } from "./support/browser.ts";
import { filesBelow, findCanaries, ProcessWatch, spellings } from "./support/canaries.ts";
import { variablesOf } from "./support/process-tree.ts";
import { Sandbox } from "./support/sandbox.ts";

const ROLE = "arn:aws:iam::123456789012:role/dev";
const EXTERNAL_ID = "canary:external/9+id";
const MFA_CODE = "918273";
const WRONG_CODE = "827364";
const STATIC_SECRET = "canary/Static+secret==AKIA";
const WRONG_SECRET = "canary/Wrong+secret==AKIA";
const PROCESS_SECRET = "canary/Process+secret";
const ENDED_TOKEN = "canary.ended.sso.token";
const REFRESH_TOKEN = "canary.ended.refresh.token";
const WEB_TOKEN = "canary.web.identity";

let sandbox: Sandbox;
let aws: FakeAws;
let watch: ProcessWatch;
const outputs = new Map<string, string>();

beforeAll(async () => {
  aws = await FakeAws.open();
  sandbox = await Sandbox.create();
  mkdirSync(join(sandbox.root, "tmp"));
  watch = new ProcessWatch(() => sandbox.processes());
});

afterAll(async () => {
  watch.stop();
  await sandbox.dispose();
  await aws.close();
});

/** Writes one of the user's own files, which may hold secrets. */
function write(path: string, text: string): string {
  const file = join(sandbox.home, ".aws", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function sky(command: string, env: Readonly<Record<string, string>> = {}, stdin?: string): Promise<string> {
  const here = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true", TMPDIR: join(sandbox.root, "tmp") };
  const options = { env: sandbox.env({ ...here, ...env }), ...(stdin === undefined ? {} : { stdin }) };
  const result = await sandbox.sky(command.split(" "), options);
  const text = `${result.stdout}\n${result.stderr}`;
  outputs.set(`output of ${outputs.size}: sky ${command}`, text);
  return text;
}

function principal(name: string): { userId: string; account: string; arn: string } {
  return { userId: `AIDA${name}`, account: "123456789012", arn: `arn:aws:iam::123456789012:user/${name}` };
}

/** The commands that a user gives in a row with the same credentials. */
async function useEverywhere(env: Readonly<Record<string, string>>): Promise<string> {
  const check = await sky("check aws -v", env);
  await sky("status", env);
  await sky("check aws --permissions --region us-east-1", env);
  await sky("launch --dryrun -y -c c1 --infra aws true", env);
  await sky("aws policy --diff", env);
  return check;
}

/** A check that shows who it is, and how nodes mount buckets. */
function rowOf(who: string, way: string): RegExp {
  return new RegExp(`${who}[^]*Mounted buckets: on EC2 by the nodes' role, ${way.replaceAll(/[().]/gu, "\\$&")}`, "u");
}

it("leaves no secret anywhere, whatever the credentials are", { timeout: 240_000 }, async () => {
  const web = write("web-token", WEB_TOKEN);
  aws.webIdentity = WEB_TOKEN;
  aws.ssoRoles.add("123456789012/Admin");
  aws.principals.set("AKIASTATIC", principal("STATIC"));
  aws.principals.set("AKIAWRONG", { ...principal("WRONG"), problem: "wrong-secret" });
  aws.principals.set("AKIAPROCESS", principal("PROCESS"));
  aws.roles.set(ROLE, { externalId: EXTERNAL_ID, mfaCode: MFA_CODE });
  const keysFile = write(
    "process.json",
    JSON.stringify({ Version: 1, AccessKeyId: "AKIAPROCESS", SecretAccessKey: PROCESS_SECRET }),
  );
  write(
    "credentials",
    `[static]\naws_access_key_id = AKIASTATIC\naws_secret_access_key = ${STATIC_SECRET}\n[wrong]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = ${WRONG_SECRET}\n`,
  );
  write(
    "config",
    `[profile mfa]\nrole_arn = ${ROLE}\nsource_profile = static\nexternal_id = ${EXTERNAL_ID}\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n` +
      `[profile process]\ncredential_process = cat ${keysFile}\n[profile web]\nrole_arn = ${ROLE}\nweb_identity_token_file = ${web}\n` +
      "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n",
  );
  write(
    `sso/cache/${createHash("sha1").update("corp").digest("hex")}.json`,
    JSON.stringify({
      startUrl: "https://corp.example/start",
      region: "us-east-1",
      accessToken: ENDED_TOKEN,
      refreshToken: REFRESH_TOKEN,
      expiresAt: "2020-01-01T00:00:00Z",
    }),
  );
  const session = aws.issue(principal("SESSION"));
  const variables = {
    AWS_ACCESS_KEY_ID: session.id,
    AWS_SECRET_ACCESS_KEY: session.secret,
    AWS_SESSION_TOKEN: session.token,
  };

  // The server is started by a command whose variables hold secrets.
  // With each, the row of the matrix in docs/aws/s3.md by which nodes mount buckets.
  const cut = "elsewhere by a federation token, cut down to the bucket";
  const none = "elsewhere not (a session cannot be cut down to a bucket; set aws.bucket_role)";
  expect(await useEverywhere(variables)).toMatch(rowOf("AIDASESSION", none));
  expect(await useEverywhere({ ...variables, AWS_SESSION_TOKEN: "canary-unknown-token" })).toContain("disabled");
  expect(await useEverywhere({ AWS_PROFILE: "static" })).toMatch(rowOf("AIDASTATIC", cut));
  expect(await useEverywhere({ AWS_PROFILE: "wrong" })).toContain("disabled");
  expect(await useEverywhere({ AWS_PROFILE: "process" })).toMatch(rowOf("AIDAPROCESS", none));
  expect(await useEverywhere({ AWS_PROFILE: "web" })).toMatch(rowOf("enabled", none));
  expect(await useEverywhere({ AWS_PROFILE: "sso" })).toContain("disabled");
  await sky("aws login --profile mfa", {}, `${WRONG_CODE}\n`);
  expect(await sky("aws login --profile mfa", {}, `${MFA_CODE}\n`)).toContain("Logged in");
  expect(await useEverywhere({ AWS_PROFILE: "mfa" })).toMatch(rowOf("enabled", none));
  expect(await sky("aws login --profile sso", { BROWSER: writeBrowser(sandbox.root) })).toContain("Logged in");
  expect(await useEverywhere({ AWS_PROFILE: "sso" })).toMatch(rowOf("enabled", none));
  await sky("api status -a");

  const inputs = [EXTERNAL_ID, MFA_CODE, WRONG_CODE, STATIC_SECRET, WRONG_SECRET, PROCESS_SECRET, WEB_TOKEN];
  // What the test server gives out begins with these.
  const issued = ["canary-session", "canary-secret", "canary-sso", "canary-again", "canary-hush"];
  const secrets = [...inputs, ENDED_TOKEN, REFRESH_TOKEN, "canary-unknown-token", ...issued, aws.ssoToken];
  const isOwnFile = (path: string): boolean => path.startsWith(join(sandbox.home, ".aws/"));
  const files = filesBelow(sandbox.root, isOwnFile);
  expect([...files.keys()].some((path) => path.endsWith("-wal"))).toBe(true);
  const servers = sandbox.serverProcesses();
  expect(servers).toHaveLength(1);
  const environments = new Map(servers.map(({ pid }) => [`variables of the server ${pid}`, variablesOf(pid)]));
  const places = new Map([...outputs, ...files, ...watch.seen, ...environments]);
  expect(watch.seen.size).toBeGreaterThan(outputs.size / 2);
  // A code of six digits is found in any number that contains it: only where it stands alone it is one.
  const hits = findCanaries(places, secrets).filter((hit) => {
    const [place = "", secret = ""] = hit.split(/: (?=[^:]*$)/u);
    if (secret !== MFA_CODE && secret !== WRONG_CODE) return true;
    return new RegExp(`(?<![\\da-f])${secret}(?![\\da-f])`, "u").test(places.get(place) ?? "");
  });
  expect(hits).toEqual([]);
});

it("would find them", () => {
  for (const secret of [EXTERNAL_ID, STATIC_SECRET, "canary-session-1"]) {
    for (const before of ["", "a", "ab", "abc"]) {
      const text = Buffer.from(`${before}${secret}xyz`).toString("base64");
      expect(
        spellings(secret).some((one) => text.includes(one)),
        `${secret} after '${before}'`,
      ).toBe(true);
    }
    expect(findCanaries(new Map([["log", `key=${encodeURIComponent(secret)}&`]]), [secret])).toHaveLength(1);
  }
});
