import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { FakeAws } from "../../support/aws/fake-aws.ts";
import { MotoFront } from "../../support/aws/moto-front.ts";
import { Moto, type Keys, type LoosePolicy } from "../../support/aws/moto.ts";
import { writeBrowser } from "./browser.ts";
import { plainText } from "./plain-text.ts";
import { Sandbox, type CommandOptions } from "./sandbox.ts";

export const ACCOUNT = "123456789012";
export const EXTERNAL_ID = "external-1";
export const MFA_CODE = "918273";
export const MFA_DEVICE = `arn:aws:iam::${ACCOUNT}:mfa/ann`;
export const START_URL = "https://corp.example/start";
/** The profile's part of the two forms of SSO, and the session of the new one. */
export const SSO_ROLE = `sso_account_id = ${ACCOUNT}\nsso_role_name = Admin\n`;
export const SSO_SESSION = `[sso-session corp]\nsso_start_url = ${START_URL}\nsso_region = us-east-1\n`;
export const LEGACY_SSO = `sso_start_url = ${START_URL}\nsso_region = us-east-1\n${SSO_ROLE}`;
export const LOGIN_SESSION = `arn:aws:iam::${ACCOUNT}:user/ann`;

/** What a check needs, and the next role of a chain. */
export const CHECK_ACTIONS = [
  "ec2:DescribeRegions",
  "ec2:DescribeAvailabilityZones",
  "s3:ListAllMyBuckets",
  "sts:AssumeRole",
];

/** moto looks at the actions only. */
function allowing(actions: readonly string[]): LoosePolicy {
  return { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }] };
}

export type Env = Readonly<Record<string, string>>;

/**
 * A user's machine, our API server and AWS: STS, IAM, EC2 and S3 are moto's with IAM enforcement on, sign-in services, instance
 * metadata and the container endpoint are ours and give out session keys that moto knows.
 */
export class AwsWorld {
  readonly sandbox: Sandbox;
  readonly moto: Moto;
  readonly front: MotoFront;
  readonly signIn: FakeAws;
  /** Keys of the user ann. */
  readonly ann: Keys;
  /** What is an own name of this run → how it is shown. */
  readonly #names = new Map<string, string>();

  private constructor(parts: Pick<AwsWorld, "sandbox" | "moto" | "front" | "signIn" | "ann">) {
    this.sandbox = parts.sandbox;
    this.moto = parts.moto;
    this.front = parts.front;
    this.signIn = parts.signIn;
    this.ann = parts.ann;
  }

  static async create(): Promise<AwsWorld> {
    const [sandbox, moto, signIn] = await Promise.all([Sandbox.create(), Moto.start(), FakeAws.open()]);
    const ann = await moto.createUser("ann", allowing(CHECK_ACTIONS));
    const issue = moto.issuer(await moto.createUser("issuer", allowing(CHECK_ACTIONS)));
    signIn.issuer = issue;
    const front = await MotoFront.open({ moto: moto.url, issue });
    const world = new AwsWorld({ sandbox, moto, front, signIn, ann });
    await world.#createRoles();
    await moto.setEnforced(true);
    return world;
  }

  async #createRoles(): Promise<void> {
    const user = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;
    const session = (role: string, name: string): string => `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/${name}`;
    const trusts: Readonly<Record<string, readonly string[]>> = {
      dev: [user("ann")],
      deploy: [session("dev", "skypilot")],
      "dev-session": [user("issuer")],
      guarded: [user("ann")],
      "guarded-kept": [user("issuer")],
      second: [session("guarded-kept", "botocore-session-1")],
      AWSReservedSSO_Admin_0: [user("issuer")],
      "from-sso": [session("AWSReservedSSO_Admin_0", "ann@example.com")],
      "from-pod": [session("pod", "pod")],
      "from-node": [session("node", "i-0abc")],
      login: [user("issuer")],
      node: [user("issuer")],
      pod: [user("issuer")],
      web: [user("issuer")],
    };
    for (const [name, principals] of Object.entries(trusts)) {
      const externalId = name === "dev" ? { externalId: EXTERNAL_ID } : {};
      await this.moto.createSessionRole(name, { trusts: principals, ...externalId, policy: allowing(CHECK_ACTIONS) });
    }
    for (const [id, name] of await this.moto.ids()) this.#names.set(id, name);
    this.front.mfaCodes.set(this.role("guarded"), MFA_CODE);
    this.front.webTokens.set("good-token", this.role("web")).set("old-token", "expired");
    this.signIn.ssoRoles.add(`${ACCOUNT}/Admin`);
  }

  role(name: string): string {
    return `arn:aws:iam::${ACCOUNT}:role/${name}`;
  }

  /** Sets what a user may do. */
  async allow(user: string, actions: readonly string[]): Promise<void> {
    await this.moto.setEnforced(false);
    await this.moto.setPolicy(user, allowing(actions));
    await this.moto.setEnforced(true);
  }

  /** Where AWS is, for commands and servers. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: this.front.url,
      AWS_ENDPOINT_URL_SSO: this.signIn.url,
      AWS_ENDPOINT_URL_SSO_OIDC: this.signIn.url,
      AWS_ENDPOINT_URL_SIGNIN: this.signIn.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: this.signIn.url,
    };
  }

  /** Forgets the user's files and what was set. */
  reset(): void {
    for (const name of [".aws", "keys"]) rmSync(join(this.sandbox.home, name), { recursive: true, force: true });
    rmSync(join(this.sandbox.home, ".sky/config.yaml"), { force: true });
    Object.assign(this.front, { skewMs: 0 });
    for (const set of [this.front.ended, this.front.broken]) set.clear();
    this.signIn.instanceRole = "off";
    this.signIn.containerToken = undefined;
    this.signIn.loginRefusal = undefined;
    this.signIn.canRefresh = true;
    this.signIn.ssoToken = "";
  }

  /** Writes a file in HOME. */
  write(path: string, text: string): string {
    const file = join(this.sandbox.home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  read(path: string): string {
    return readFileSync(join(this.sandbox.home, path), "utf8");
  }

  /** `[section]` with ann's keys. */
  keysOf(section: string): string {
    return `[${section}]\naws_access_key_id = ${this.ann.accessKeyId}\naws_secret_access_key = ${this.ann.secretAccessKey}\n`;
  }

  annEnv(): Env {
    return { AWS_ACCESS_KEY_ID: this.ann.accessKeyId, AWS_SECRET_ACCESS_KEY: this.ann.secretAccessKey };
  }

  /** The cache file of an SSO login; a legacy one is named by its start URL. */
  writeSsoToken(key: string, token: Readonly<Record<string, unknown>>): void {
    const name = createHash("sha1").update(key).digest("hex");
    const file = { startUrl: START_URL, region: "us-east-1", ...token };
    this.write(`.aws/sso/cache/${name}.json`, JSON.stringify(file));
  }

  /** The cache file of `aws login`. */
  async writeLogin(leftMs: number): Promise<void> {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const keys = await this.session("login", "login");
    const accessToken = {
      accessKeyId: keys.id,
      secretAccessKey: keys.secret,
      sessionToken: keys.token,
      accountId: ACCOUNT,
      expiresAt: new Date(Date.now() + leftMs).toISOString(),
    };
    const name = createHash("sha256").update(LOGIN_SESSION).digest("hex");
    const file = {
      accessToken,
      tokenType: "aws_sigv4",
      clientId: "arn:aws:signin:::devtools/same-device",
      refreshToken: "r",
      dpopKey: privateKey.export({ type: "sec1", format: "pem" }),
    };
    this.write(`.aws/login/cache/${name}.json`, JSON.stringify(file));
  }

  /** Session keys of a role, as somebody else's program has got them. */
  async session(role: string, name: string): Promise<Awaited<ReturnType<NonNullable<FakeAws["issuer"]>>>> {
    if (this.signIn.issuer === undefined) throw new Error("There is no issuer.");
    return this.signIn.issuer(this.role(role), name);
  }

  /** Runs our built CLI. */
  async sky(args: readonly string[], env: Env = {}, options: CommandOptions = {}): Promise<string> {
    const here = { ...this.env, ...env };
    const result = await this.sandbox.sky(args, { ...options, env: this.sandbox.env(here) });
    return this.plain(result.stdout + result.stderr);
  }

  /** Runs `sky aws login` as a user does: in a browser, or with the code of the MFA device. */
  async login(options: readonly string[], { code = false } = {}): Promise<void> {
    const env = { BROWSER: writeBrowser(this.sandbox.root) };
    const text = await this.sky(["aws", "login", ...options], env, code ? { stdin: `${MFA_CODE}\n` } : {});
    if (!text.includes("Logged in")) throw new Error(text);
  }

  /** What `sky check aws` says of AWS: its block alone. */
  async check(env: Env = {}, ...args: readonly string[]): Promise<string> {
    return blockOf(await this.sky(["check", "aws", ...args], env));
  }

  /** Without what differs from run to run. */
  plain(text: string): string {
    let plain = plainText(text)
      .replaceAll(this.sandbox.home, "~")
      .replaceAll(this.front.url.replace("http://", ""), "AWS")
      .replaceAll(this.signIn.url.replace("http://", ""), "SIGN-IN")
      .replaceAll(`(${hostname()})`, "(HOST)")
      .replaceAll(this.ann.accessKeyId, "AKIAANN")
      .replaceAll(this.ann.accessKeyId.slice(-4), "LAST");
    for (const [id, name] of this.#names) plain = plain.replaceAll(id, name);
    return plain;
  }

  async dispose(): Promise<void> {
    await this.sandbox.dispose();
    await this.front.close();
    await this.signIn.close();
    this.moto.stop();
  }
}

/** The lines about AWS in the output of a check. */
export function blockOf(output: string): string {
  const lines = output.split("\n");
  const start = lines.findIndex((line) => line.startsWith("  AWS: "));
  const rest = lines.slice(start);
  const end = rest.indexOf("");
  return start < 0 ? `no AWS block in:\n${output}` : rest.slice(0, end < 0 ? undefined : end).join("\n");
}
