import { rmSync } from "node:fs";
import { expect } from "vitest";
import { doorPathOf } from "../../../src/clouds/aws/ssm/door-path.ts";
import type { RunResult } from "../../e2e/support/run-program.ts";
import { Sandbox } from "../../e2e/support/sandbox.ts";
import type { MotoFleet } from "./moto-fleet.ts";
import { writeProfile } from "./profile.ts";

/** The world in which programs run and machines are reached; nothing leads out of it. */
const CONFIG = "aws:\n  ssh_allowed_cidrs: [198.51.100.1/32]\n";

/** Two nodes that say who they are, and keep it on their disks. */
export const GANG_TASK = `
name: hello
num_nodes: 2
resources:
  infra: aws/us-east-1
  cpus: 2
workdir: .
run: echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES" | tee -a ~/kept
`;

/** Somebody with our CLI and server in the network of a fleet behind AWS. */
export class AwsUser {
  readonly sandbox: Sandbox;
  /** Of commands and of the server that they start. */
  readonly #variables: Readonly<Record<string, string>>;

  private constructor(sandbox: Sandbox, variables: Readonly<Record<string, string>>) {
    this.sandbox = sandbox;
    this.#variables = variables;
  }

  static async create(
    aws: MotoFleet,
    config = CONFIG,
    variables: Readonly<Record<string, string>> = {},
  ): Promise<AwsUser> {
    const { fleet } = aws;
    const sandbox = await Sandbox.create({ root: fleet.root, start: (argv, options) => fleet.start(argv, options) });
    sandbox.write("../home/.sky/config.yaml", config);
    // In files, so that the server has them too when it acts by itself.
    writeProfile(sandbox.home, aws.url);
    return new AwsUser(sandbox, variables);
  }

  /** Runs a command that succeeds; gives everything that it printed. */
  async sky(...args: readonly string[]): Promise<string> {
    return this.#expectExit(args, 0);
  }

  /** Runs a command that fails with exit code 1. */
  async fails(...args: readonly string[]): Promise<string> {
    return this.#expectExit(args, 1);
  }

  async dispose(): Promise<void> {
    const door = doorPathOf(this.sandbox.home);
    await this.sandbox.dispose();
    // The server was killed, which leaves it.
    rmSync(door, { force: true });
  }

  async #expectExit(args: readonly string[], exitCode: number): Promise<string> {
    const { sandbox } = this;
    const result = await sandbox.sky(args, { timeoutMs: 240_000, env: sandbox.env(this.#variables) });
    const text = transcript(args, result);
    if (process.env["SHOW"] !== undefined) process.stdout.write(`${text}\n`);
    expect(result.exitCode, text).toBe(exitCode);
    return `${result.stdout}${result.stderr}`;
  }
}

function transcript(args: readonly string[], result: RunResult): string {
  const { exitCode, stdout, stderr, elapsedMs } = result;
  return `$ sky ${args.join(" ")}\n${stdout}${stderr}(exit code ${exitCode}, ${Math.round(elapsedMs)} ms)`;
}
