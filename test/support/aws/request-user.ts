import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Sandbox } from "../../e2e/support/sandbox.ts";
import { installZoneNames } from "../catalogs.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import { writeProfile } from "./profile.ts";

/** A launch as AWS got it. */
export interface SentLaunch {
  readonly params: URLSearchParams;
  readonly region: string;
  /** Tags of the instances. */
  readonly tags: Readonly<Record<string, string>>;
  /** The first disk. */
  readonly disk: Readonly<Record<string, string>>;
  readonly userData: string;
}

/**
 * Somebody with our CLI and server whose launches reach AWS, which then has no room: what was asked for is what counts. No machine
 * starts.
 */
export class RequestUser {
  readonly sandbox: Sandbox;
  readonly #proxy: FaultProxy;

  private constructor(sandbox: Sandbox, proxy: FaultProxy) {
    this.sandbox = sandbox;
    this.#proxy = proxy;
  }

  static async create(proxy: FaultProxy): Promise<RequestUser> {
    proxy.faultOf = ({ action }) =>
      action === "ec2:RunInstances"
        ? { kind: "refuse", status: 500, code: "InsufficientInstanceCapacity", message: "There is no room." }
        : undefined;
    const sandbox = await Sandbox.create();
    installZoneNames(sandbox.home);
    writeProfile(sandbox.home, proxy.url);
    const user = new RequestUser(sandbox, proxy);
    user.configure("");
    await sandbox.startServer();
    await sandbox.sky(["check", "aws"]);
    return user;
  }

  /** Writes the `aws` section of `~/.sky/config.yaml`. Nobody asks the internet for this machine's address. */
  configure(aws: string): void {
    const text = `aws:\n  ssh_allowed_cidrs: [198.51.100.1/32]\n${aws.replaceAll(/^/gmu, "  ")}\n`;
    const directory = join(this.sandbox.home, ".sky");
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.yaml"), text);
  }

  /** Launches, and gives the requests that AWS got; at least one. */
  async launches(...args: readonly string[]): Promise<readonly [SentLaunch, ...SentLaunch[]]> {
    const { text, sent } = await this.#launch(args);
    const [first, ...more] = sent;
    expect(text).toContain("There is no room.");
    if (first === undefined) throw new Error(`AWS got no launch.\n${text}`);
    return [first, ...more];
  }

  /** Launches what is refused before AWS is asked for a node, and gives all that was printed. */
  async refusal(...args: readonly string[]): Promise<string> {
    const { text, sent } = await this.#launch(args);
    expect(sent, text).toEqual([]);
    return text;
  }

  async #launch(args: readonly string[]): Promise<{ readonly text: string; readonly sent: readonly SentLaunch[] }> {
    const before = this.#proxy.calls.length;
    const result = await this.sandbox.sky(["launch", "-y", ...args], { timeoutMs: 120_000 });
    const text = `$ sky launch ${args.join(" ")}\n${result.stdout}${result.stderr}`;
    if (process.env["SHOW"] !== undefined) process.stdout.write(`${text}\n`);
    expect(result.exitCode, text).toBe(1);
    expect(text).not.toMatch(/(us-east-1\w: )\1/u);
    const calls = this.#proxy.calls.slice(before).filter((call) => call.action === "ec2:RunInstances");
    return { text, sent: calls.map(({ params, region }) => readLaunch(params, region)) };
  }
}

function readLaunch(params: URLSearchParams, region: string): SentLaunch {
  const tags: Record<string, string> = {};
  for (const [key, value] of params) {
    const prefix = /^(TagSpecification\.1\.Tag\.\d+\.)Key$/u.exec(key)?.[1];
    if (prefix !== undefined) tags[value] = params.get(`${prefix}Value`) ?? "";
  }
  const ebs = "BlockDeviceMapping.1.Ebs.";
  const disk = Object.fromEntries(
    [...params].flatMap(([key, value]) => (key.startsWith(ebs) ? [[key.slice(ebs.length), value]] : [])),
  );
  const userData = Buffer.from(params.get("UserData") ?? "", "base64").toString();
  return { params, region, tags, disk, userData };
}
