import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listProcesses } from "../../src/agent/node/proc.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { Gate } from "../support/aws/gate.ts";
import { Moto } from "../support/aws/moto.ts";
import { startRegistry } from "./support/fake-registry.ts";
import { plainText } from "./support/plain-text.ts";
import { SandboxPodman, whyNoPodman } from "./support/podman.ts";
import { signalProcess } from "./support/process-tree.ts";
import { isE2eRequired } from "./support/reference.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";
import { makeRootTar } from "./support/tiny-image.ts";
import { waitFor } from "./support/wait-for.ts";

/** Words of a process, with a space between; empty when it is gone. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

const reason = whyNoPodman();
if (reason !== undefined && isE2eRequired() && process.getuid?.() === 0) throw new Error(reason);

describe.skipIf(reason !== undefined)(`image_id: docker:… ${reason ?? ""}`, () => {
  let sandbox: Sandbox;
  let podman: SandboxPodman;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    podman = new SandboxPodman(sandbox);
    const tar = makeRootTar(sandbox.root, { withBash: true });
    podman.startServer();
    podman.run("import", "--change", "ENV IN_IMAGE=yes", tar, "localhost/little:1");
  });

  afterAll(async () => {
    podman.run("rm", "--force", "--all", "--time", "0");
    await sandbox.dispose();
  });

  const sky = async (...args: readonly string[]): Promise<RunResult> => {
    const result = await sandbox.sky(args, { env: podman.env() });
    return { ...result, stdout: plainText(result.stdout), stderr: plainText(result.stderr) };
  };
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await sky(...args);
    expect(`${stdout}${stderr}`, `sky ${args.join(" ")}`).toSatisfy(() => exitCode === 0);
    return stdout.replaceAll(/^\(.*?pid=\d+.*?\) /gm, "| ");
  };
  const task = (image: string, fields: string): string =>
    sandbox.write("task.yaml", `name: t\nresources:\n  infra: local\n  image_id: docker:${image}\n${fields}\n`);
  const containers = (): string[] => podman.run("ps", "--all", "--format", "{{.Names}} {{.State}}").split("\n");
  const processes = (command: string): number =>
    listProcesses().filter(({ pid }) => commandLine(pid) === command).length;

  test("setup, run and files are inside, on each of two nodes; the agent stays outside", async () => {
    sandbox.write("src/a", "from the workdir");
    sandbox.write("data/new", "from the mount");
    const file = task(
      "localhost/little:1",
      `num_nodes: 2
envs: {NAME: "it's me"}
workdir: src
file_mounts:
  ~/data: data
  ~/in-image: data
  /opt/data: data
  /tmp/one: data/new
setup: cat /etc/os-release; touch ~/set-up
run: |
  echo "$SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES, $NAME, $IN_IMAGE, $HOME, $PWD, uid $UID, [\${CUDA_VISIBLE_DEVICES-unset}]"
  cat a ~/data/new ~/in-image/old ~/in-image/new /opt/data/new /tmp/one
  ls ~/set-up
  echo "$SKYPILOT_NODE_RANK wrote this" > ~/sky_workdir/made`,
    );
    const output = await ok("launch", "-y", "-c", "c1", file);
    expect(output).toContain("├── Instances are up.\n└── Docker container is up.\n✓ Cluster launched: c1.");
    expect(output).toContain('| NAME="A little Linux"');
    for (const rank of [0, 1]) {
      expect(output).toContain(`| ${rank} of 2, it's me, yes, /root, /root/sky_workdir, uid 0, []\n`);
      expect(readFileSync(join(nodeHome(rank), "sky_workdir/made"), "utf8")).toBe(`${rank} wrote this\n`);
    }
    const read = "from the workdirfrom the mountof the imagefrom the mountfrom the mountfrom the mount/root/set-up";
    expect(output.split(read)).toHaveLength(3);
    expect(containers()).toHaveLength(2);
    expect(await ok("launch", "-y", "-c", "c1", file)).toContain("└── Docker container is up.");
    expect(containers()).toHaveLength(2);
  });

  const nodeHome = (index: number): string => {
    const root = join(sandbox.home, ".sky/local");
    return join(root, readdirSync(root).find((name) => name.startsWith("c1-")) ?? "", `node${index}`, "home");
  };

  test("exit codes pass through, and cancel ends what hides inside", async () => {
    const failed = await sky("exec", "c1", "exit 3");
    expect(failed.exitCode).toBe(100);
    expect(failed.stdout).toContain("failed with return code list: [3]");
    const script = "trap 'echo got TERM; exit 1' TERM; (setsid sleep 98765 &); sleep 98764 & wait";
    await ok("exec", "c1", "-d", script);
    await waitFor("both to run", () => processes("sleep 98765") + processes("sleep 98764") === 2);
    expect(await ok("cancel", "c1", "-a", "-y")).toMatch(/Cancelled job ID\(s\): \d+/);
    expect(processes("sleep 98765") + processes("sleep 98764")).toBe(0);
    expect(await ok("logs", "c1", "4", "--no-follow").catch(String)).toContain("got TERM");
  });

  test("a container that stopped, as after a reboot, is started again with what it holds", async () => {
    podman.run("stop", "--all", "--time", "0");
    expect(await ok("exec", "c1", "ls ~/set-up")).toContain("| /root/set-up");
    await ok("stop", "-y", "c1");
    expect(containers().map((line) => line.split(" ")[1])).toEqual(["Exited", "Exited"]);
    await ok("start", "-y", "c1");
    expect(await ok("exec", "c1", "cat ~/set-up ~/data/new")).toContain("| from the mount");
  });

  test("another image needs another cluster", async () => {
    const { exitCode, stderr, stdout } = await sky("launch", "-y", "-c", "c1", task("localhost/other:1", "run: ls"));
    expect(exitCode).toBe(1);
    expect(`${stdout}${stderr}`).toContain(
      "the cluster runs tasks in localhost/little:1, the task asks for localhost/other:1",
    );
  });

  test("down removes the containers, also when the agents are gone", async () => {
    await ok("down", "-y", "c1");
    expect(containers()).toEqual([""]);
    await ok("launch", "-y", "-c", "c1", task("localhost/little:1", "run: echo hi"));
    const agents = sandbox.processes().filter(({ argv }) => argv.includes("daemon"));
    for (const { pid } of agents) signalProcess(pid, "SIGKILL");
    await ok("down", "-y", "c1");
    expect(containers()).toEqual([""]);
  });

  test("a private registry is logged in to by the task's secrets, which nobody else sees", async () => {
    const password = "s3cret'pass word\"";
    const layout = join(sandbox.root, "layout");
    podman.run("save", "--format", "oci-dir", "--output", layout, "localhost/little:1");
    const registry = await startRegistry(layout, { username: "me", password });
    podman.allowPlainHttp(registry.host);
    try {
      const secrets = `secrets:\n  SKYPILOT_DOCKER_USERNAME: me\n  SKYPILOT_DOCKER_SERVER: ${registry.host}\n`;
      const withPassword = (text: string): string =>
        `${secrets}  SKYPILOT_DOCKER_PASSWORD: ${JSON.stringify(text)}\nrun: echo inside $IN_IMAGE`;
      const refused = await sky("launch", "-y", "-c", "c2", task("team/little:2", withPassword("wrong")));
      expect(refused.exitCode).toBe(1);
      expect(`${refused.stdout}${refused.stderr}`).toContain(
        `The image ${registry.host}/team/little:2 cannot be pulled`,
      );
      expect(`${refused.stdout}${refused.stderr}`).toContain("refused the login of me");
      const output = await ok("launch", "-y", "-c", "c2", task("team/little:2", withPassword(password)));
      expect(output).toContain("| inside yes");
      const pulls = registry.served.length;
      await ok("launch", "-y", "-c", "c2", task("team/little:2", withPassword(password)));
      expect(registry.served).toHaveLength(pulls);
      await ok("down", "-y", "c2");
    } finally {
      registry.close();
    }
    expect(podman.calls()).not.toContain("s3cret");
    const found = grepFiles("s3cret");
    expect(found.filter((path) => !path.endsWith("/task.yaml"))).toEqual([]);
  });

  test("Amazon ECR is logged in to as the server's AWS identity, when the task brings no login", async () => {
    const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    const layout = join(sandbox.root, "layout-ecr");
    podman.run("save", "--format", "oci-dir", "--output", layout, "localhost/little:1");
    const moto = await Moto.start();
    const gate = await Gate.open(moto.url);
    // The token of moto's ECR.
    const password = "123456789012-auth-token";
    const registry = await startRegistry(layout, { username: "AWS", password });
    podman.answerFor(host, registry.host);
    const keys = { AWS_ACCESS_KEY_ID: "AKIAGATEECR", AWS_SECRET_ACCESS_KEY: "canary-of-aws" };
    const file = task(`${host}/team/little:2`, "run: echo inside $IN_IMAGE");
    const launch = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const { exitCode, stdout, stderr } = await sandbox.sky(["launch", "-y", "-c", "c6", file], {
        env: { ...podman.env(), ...env },
      });
      return plainText(`${stdout}${stderr}exit ${exitCode}`);
    };
    try {
      expect(await launch({})).toMatch(/little:2 cannot be pulled: .*(?:\n.*)*exit 1$/u);
      const aws = { ...keys, AWS_ENDPOINT_URL: gate.url };
      const user = gate.user("ecr", []);
      const denied = await launch(aws);
      expect(denied).toContain(`No login to ${host}, only what the nodes themselves have: AWS refused ecr:GetAuth`);
      expect(denied).toContain('"Action":"ecr:GetAuthorizationToken","Resource":"*"}');
      expect(denied).toMatch(/exit 1$/u);
      user.policy = buildPolicy({
        tier: "user",
        features: ["ecr"],
        account: "123456789012",
        regions: [],
        isTagScoped: false,
      }).Statement;
      const output = await launch(aws);
      expect(output).toContain("inside yes");
      expect(registry.served.some((path) => path.includes("/team/little/manifests/2"))).toBe(true);
      expect(gate.asked).toContain("ecr:GetAuthorizationToken");
      // Containers that are gone are made again, with a login of that moment.
      podman.run("rm", "--force", "--all", "--time", "0");
      podman.run("rmi", "--force", `${host}/team/little:2`);
      expect(await launch(aws)).toContain("inside yes");
      await ok("down", "-y", "c6");
      podman.run("rmi", "--force", `${host}/team/little:2`);
      // As SkyPilot 0.14.1 asks for it.
      const login = `SKYPILOT_DOCKER_USERNAME: AWS, SKYPILOT_DOCKER_PASSWORD: "", SKYPILOT_DOCKER_SERVER: ${host}`;
      task("team/little:2", `envs: {${login}}\nrun: echo inside $IN_IMAGE`);
      expect(await launch(aws)).toContain("inside yes");
      await ok("down", "-y", "c6");
    } finally {
      registry.close();
      await gate.close();
      moto.stop();
    }
    expect(podman.calls()).not.toContain("auth-token");
    expect(grepFiles("auth-token").concat(grepFiles("QVdTOjEyMzQ1"))).toEqual([]);
  });

  const grepFiles = (text: string): string[] => {
    const { root } = sandbox;
    try {
      return execFileSync("grep", ["-rl", "-a", text, root], { encoding: "utf8" }).trim().split("\n");
    } catch {
      // Nothing found.
      return [];
    }
  };

  test("what is wrong with an image is said", async () => {
    const tar = makeRootTar(sandbox.root, { withBash: false });
    podman.run("import", tar, "localhost/no-bash:1");
    const noBash = await sky("launch", "-y", "-c", "c3", task("localhost/no-bash:1", "run: ls"));
    expect(noBash.exitCode).toBe(1);
    expect(`${noBash.stdout}${noBash.stderr}`).toContain("error: On head: The image localhost/no-bash:1 has no bash.");
    const missing = await sky("launch", "-y", "-c", "c4", task("127.0.0.1:1/none:1", "run: ls"));
    expect(missing.exitCode).toBe(1);
    expect(`${missing.stdout}${missing.stderr}`).toMatch(
      /On head: The image 127\.0\.0\.1:1\/none:1 cannot be pulled: .*refused/,
    );
    await ok("down", "-y", "c3", "c4");
  });

  test("an image with a user of its own runs as root, who may write the node's folders", async () => {
    podman.run("import", "--change", "USER app", join(sandbox.root, "root.tar"), "localhost/app:1");
    const output = await ok(
      "launch",
      "-y",
      "-c",
      "c5",
      task("localhost/app:1", "run: echo $UID $HOME; touch ~/sky_workdir/x"),
    );
    expect(output).toContain("| 0 /root");
    await ok("down", "-y", "c5");
  });
});
