/** AWS's own plugin and CLI against our stand-in of Session Manager: what they understand, ours may be tried on. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { createSsmFleet, PRIVATE_VPC, type SsmFleet } from "../support/aws/ssm-fleet.ts";
import {
  findPluginPrograms,
  installPrograms,
  type PluginPrograms,
} from "../support/session-manager/plugin-programs.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const CONFIG = `aws:\n  vpc_names: ${PRIVATE_VPC}\n  use_internal_ips: true\n  use_ssm: true\n  ssm_mode: plugin\n`;
/** As it calls itself. */
const PLUGIN_VERSION = "1.3.0.0";
/** The plugin takes what comes before its handshake is over, which no real service sends, for output of a shell. */
const GREETING_BYTES = 2000;

const programs = findPluginPrograms();
if (programs === undefined) {
  describe.skip("AWS's Session Manager plugin (it needs session-manager-plugin, see .ci/run, and AWS CLI v2)", () => {
    it("is not here", () => undefined);
  });
} else {
  describeWithFleet("AWS's Session Manager plugin", () => judge(programs));
}

function judge(found: PluginPrograms): void {
  let ssm: SsmFleet;
  let user: AwsUser;
  let target = "";

  beforeAll(async () => {
    ssm = await createSsmFleet();
    const PATH = installPrograms(found, join(ssm.aws.fleet.root, "bin"), ssm.aws.url);
    user = await AwsUser.create(ssm.aws, CONFIG, { ...ssm.variables, PATH });
    await ssm.aws.fleet.world.setHome(user.sandbox.home);
    await user.sky("launch", "-y", "-c", "mine", "--infra", "aws/us-east-1", "--cpus", "2", "echo hi");
    target = ssm.sessions.sessions[0]?.target ?? "";
  }, 300_000);
  afterAll(async () => {
    await user?.dispose();
    await ssm?.dispose();
  });
  afterEach(() => {
    ssm.sessions.calm();
    expect(ssm.aws.errors).toEqual([]);
    expect(ssm.sessions.complaints).toEqual([]);
  });

  /** A login to the node; `proxy` is ssh's ProxyCommand. */
  function ssh(proxy: string, command: string, input = "/dev/null"): Promise<RunResult> {
    const key = join(user.sandbox.home, ".sky/generated/ssh-keys/mine.key");
    const options = [
      "IdentitiesOnly=yes",
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "LogLevel=ERROR",
    ];
    const words = [...options, `ProxyCommand=${proxy}`].flatMap((option) => ["-o", option]);
    const argv = ["ssh", "-F", "/dev/null", "-i", key, ...words, `ubuntu@${target}`, command];
    return user.sandbox.start(["sh", "-c", 'exec <"$0" "$@"', input, ...argv], {
      env: user.sandbox.env(),
      timeoutMs: 100_000,
    }).result;
  }

  it("carries a launch with aws.ssm_mode: plugin, started by AWS's CLI", () => {
    expect(ssm.sessions.sessions.length).toBeGreaterThan(0);
    for (const session of ssm.sessions.sessions) {
      expect(session).toMatchObject({ clientVersion: PLUGIN_VERSION, document: "AWS-StartSSHSession" });
    }
    const stanza = readFileSync(join(user.sandbox.home, ".sky/generated/ssh/mine"), "utf8");
    expect(stanza).toContain("aws ssm start-session --target");
  });

  it.each([
    ["on a fair day", {}],
    ["under duplication and reordering", { duplication: 0.2, reordering: 0.2 }],
    ["under pauses", { pauseEveryBytes: 200_000, pauseMs: 50 }],
  ])(
    "reaches the host directly %s",
    async (_name, weather) => {
      const started = await ssm.sessions.call("StartSession", {
        Target: target,
        DocumentName: "AWS-StartSSHSession",
        Parameters: { portNumber: ["22"] },
      });
      const script = join(ssm.aws.fleet.root, "plugin.sh");
      const words = [
        JSON.stringify(started?.body),
        "us-east-1",
        "StartSession",
        "",
        JSON.stringify({ Target: target }),
      ];
      const quoted = words.map((word) => `'${word}'`).join(" ");
      writeFileSync(script, `#!/bin/sh\nexec ${found.plugin} ${quoted} ${ssm.aws.url}\n`, { mode: 0o755 });
      const bytes = randomBytes(500_000);
      const sent = join(user.sandbox.work, "sent");
      writeFileSync(sent, bytes);
      const command = "head -c 1000000 /dev/urandom >made; sha256sum <made; base64 -w 0 made; echo; sha256sum";
      const login = ssh(script, command, sent);
      const session = ssm.sessions.sessions.at(-1);
      await waitFor("the login to begin", () => (session?.bytes ?? 0) > GREETING_BYTES);
      Object.assign(ssm.sessions.weather, weather);
      const result = await login;
      const [madeHash, made = "", sentHash] = result.stdout.split("\n");
      expect(hashOf(Buffer.from(made, "base64")), result.stderr).toBe(madeHash);
      expect(sentHash).toBe(hashOf(bytes));
    },
    120_000,
  );

  it("reaches the host by `aws ssm start-session`", async () => {
    const aws = join(ssm.aws.fleet.root, "bin/aws");
    const start = `${aws} ssm start-session --target ${target} --region us-east-1 --document-name AWS-StartSSHSession --parameters portNumber=%p`;
    const result = await ssh(`env PATH=${join(ssm.aws.fleet.root, "bin")}:/usr/bin:/bin ${start}`, "hostname");
    expect(result.stdout, result.stderr).toBe(`${target}\n`);
  }, 60_000);
}

/** As sha256sum prints it. */
function hashOf(bytes: Uint8Array): string {
  return `${createHash("sha256").update(bytes).digest("hex")}  -`;
}
