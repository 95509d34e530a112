import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import {
  AddRoleToInstanceProfileCommand,
  CreateAccessKeyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  CreateUserCommand,
  IAMClient,
  ListRolesCommand,
  ListUsersCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  DescribeRouteTablesCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import type { AwsSession } from "../../../src/clouds/aws/clients.ts";
import { waitFor } from "../../e2e/support/wait-for.ts";
import type { IssueKeys } from "./fake-aws.ts";
import { freePort } from "../free-port.ts";

const ROOT = { accessKeyId: "test", secretAccessKey: "test" };

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A policy document as moto takes it. */
export interface LoosePolicy {
  readonly Version: string;
  readonly Statement: readonly object[];
}

/** Where moto's server is, from SKYPILOT_MOTO_SERVER or PATH; undefined = nowhere. Throws when SKY_REQUIRE_E2E wants one. */
export function findMoto(): string | undefined {
  const program = process.env["SKYPILOT_MOTO_SERVER"] ?? "moto_server";
  const found = spawnSync(program, ["--help"], { stdio: "ignore" }).status === 0;
  if (!found && (process.env["SKY_REQUIRE_E2E"] ?? "") !== "") throw new Error(`There is no ${program}.`);
  return found ? program : undefined;
}

type MotoState = Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>;

export interface MotoOptions {
  /** Whether it has the images that nodes run, and no others; then it has none of the policies that AWS manages. */
  readonly withNodeImages?: boolean;
  /** Has AWS's own policies although it has the images. */
  readonly withManagedPolicies?: boolean;
}

const NODE_IMAGES = join(import.meta.dirname, "images.json");

/** AWS as moto's server plays it: the account 123456789012. */
export class Moto {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  /** Starts `moto_server` (from PATH, or what SKYPILOT_MOTO_SERVER names) on a free port. */
  static async start(options: MotoOptions = {}): Promise<Moto> {
    const port = await freePort();
    const server = spawn(findMoto() ?? "moto_server", ["-H", "127.0.0.1", "-p", String(port)], {
      stdio: "ignore",
      env: {
        ...process.env,
        // They are a thousand, and are made anew at each reset.
        ...(options.withNodeImages === true ? { MOTO_AMIS_PATH: NODE_IMAGES } : {}),
        ...(options.withNodeImages === true && options.withManagedPolicies !== true
          ? {}
          : { MOTO_IAM_LOAD_MANAGED_POLICIES: "true" }),
      },
    });
    const moto = new Moto(`http://127.0.0.1:${port}`, server);
    let failure: Error | undefined;
    server.once("error", (error) => {
      failure = error;
    });
    await waitFor(
      "moto to answer",
      async () => {
        if (failure !== undefined) throw failure;
        if (server.exitCode !== null) throw new Error(`moto_server ended with ${server.exitCode}.`);
        return fetch(`${moto.url}/moto-api/data.json`).then(
          (answer) => answer.ok,
          () => false,
        );
      },
      { timeoutMs: 60_000 },
    );
    return moto;
  }

  /** Ends the server. */
  stop(): void {
    this.#process.kill("SIGTERM");
  }

  /** Forgets everything and lets everybody do everything. */
  async reset(): Promise<void> {
    await this.setEnforced(false);
    await this.#post("/moto-api/reset", "");
  }

  /** Turns the enforcement of IAM policies and of signatures on or off. */
  async setEnforced(isEnforced: boolean): Promise<void> {
    await this.#post("/moto-api/reset-auth", isEnforced ? "0" : "inf");
  }

  /** A session with the rights of the account's owner while nothing is enforced. */
  session(keys: Keys = ROOT, region = "us-east-1"): AwsSession {
    return { credentials: () => Promise.resolve(keys), region, endpoint: () => this.url, maxAttempts: 1 };
  }

  /** Makes a user with one inline policy. */
  async createUser(name: string, policy: LoosePolicy): Promise<Keys> {
    const iam = this.#iam();
    await iam.send(new CreateUserCommand({ UserName: name }));
    const key = (await iam.send(new CreateAccessKeyCommand({ UserName: name }))).AccessKey;
    await this.setPolicy(name, policy);
    return { accessKeyId: key?.AccessKeyId ?? "", secretAccessKey: key?.SecretAccessKey ?? "" };
  }

  /** Replaces the user's policy. */
  async setPolicy(name: string, policy: LoosePolicy): Promise<void> {
    const document = JSON.stringify(policy);
    await this.#iam().send(new PutUserPolicyCommand({ UserName: name, PolicyName: "p", PolicyDocument: document }));
  }

  /** Makes a role that EC2 may assume, and the instance profile of the same name. */
  async createRole(name: string): Promise<void> {
    const iam = this.#iam();
    const trust = { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" };
    const document = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
    await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: document }));
    await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: name }));
    await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name }));
  }

  /** Gives the default VPC its way to the internet, which moto leaves out. */
  async connectDefaultVpc(region = "us-east-1"): Promise<void> {
    const ec2 = this.ec2(region);
    const vpcs = await ec2.send(new DescribeVpcsCommand({ Filters: [{ Name: "isDefault", Values: ["true"] }] }));
    const VpcId = vpcs.Vpcs?.[0]?.VpcId ?? "";
    const main = [
      { Name: "vpc-id", Values: [VpcId] },
      { Name: "association.main", Values: ["true"] },
    ];
    const tables = await ec2.send(new DescribeRouteTablesCommand({ Filters: main }));
    const gateway = (await ec2.send(new CreateInternetGatewayCommand({}))).InternetGateway?.InternetGatewayId ?? "";
    await ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId: gateway, VpcId }));
    const RouteTableId = tables.RouteTables?.[0]?.RouteTableId ?? "";
    await ec2.send(new CreateRouteCommand({ RouteTableId, GatewayId: gateway, DestinationCidrBlock: "0.0.0.0/0" }));
  }

  /** A client with the rights of the account's owner. */
  ec2(region = "us-east-1"): EC2Client {
    return new EC2Client({ region, endpoint: this.url, credentials: ROOT, maxAttempts: 1 });
  }

  /** Makes a role that the principals may assume, with one inline policy. Gives its ARN. */
  async createSessionRole(
    name: string,
    role: { readonly trusts: readonly string[]; readonly externalId?: string; readonly policy: LoosePolicy },
  ): Promise<string> {
    const iam = this.#iam();
    const condition =
      role.externalId === undefined ? {} : { Condition: { StringEquals: { "sts:ExternalId": role.externalId } } };
    const trust = { Effect: "Allow", Principal: { AWS: role.trusts }, Action: "sts:AssumeRole", ...condition };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
    const made = await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument }));
    const PolicyDocument = JSON.stringify(role.policy);
    await iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: "p", PolicyDocument }));
    return made.Role?.Arn ?? "";
  }

  /** Unique id → name of every user and role, in the way that `sts:GetCallerIdentity` shows ids. */
  async ids(): Promise<ReadonlyMap<string, string>> {
    const [users, roles] = await Promise.all([
      this.#iam().send(new ListUsersCommand({})),
      this.#iam().send(new ListRolesCommand({})),
    ]);
    return new Map([
      ...(users.Users ?? []).map((each) => [each.UserId ?? "", `AIDA(${each.UserName ?? ""})`] as const),
      ...(roles.Roles ?? []).map((each) => [each.RoleId ?? "", `AROA(${each.RoleName ?? ""})`] as const),
    ]);
  }

  /** Assumes roles with these keys, for servers that give out sessions without asking the user for keys. */
  issuer(keys: Keys): IssueKeys {
    const sts = new STSClient({ region: "us-east-1", endpoint: this.url, credentials: keys });
    return async (RoleArn, RoleSessionName) => {
      const { Credentials: made } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName }));
      return {
        id: made?.AccessKeyId ?? "",
        secret: made?.SecretAccessKey ?? "",
        token: made?.SessionToken ?? "",
        expires: made?.Expiration?.toISOString() ?? "",
      };
    };
  }

  async createBucket(Bucket: string): Promise<void> {
    const options = { region: "us-east-1", endpoint: this.url, credentials: ROOT, forcePathStyle: true };
    await new S3Client(options).send(new CreateBucketCommand({ Bucket }));
  }

  /** What moto holds of the services in use: kinds of things of which there is one or more. */
  async state(): Promise<unknown> {
    const all = (await (await fetch(`${this.url}/moto-api/data.json`)).json()) as MotoState;
    return ["ec2", "iam", "s3"].map((service) =>
      Object.entries(all[service] ?? {}).filter(
        ([kind, list]) => list.length > 0 && !/^(?:AccountSummary|AWSManagedPolicy|Fake)/u.test(kind),
      ),
    );
  }

  #iam(): IAMClient {
    return new IAMClient({ region: "us-east-1", endpoint: this.url, credentials: ROOT });
  }

  async #post(path: string, body: string): Promise<void> {
    const answer = await fetch(`${this.url}${path}`, { method: "POST", body });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }
}
