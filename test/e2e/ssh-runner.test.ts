import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Runner } from "../../src/core/ports/runner.ts";
import { pinnedRuntimes, runtimeFolder } from "../../src/runners/runtime/pinned.ts";
import { RuntimeSource } from "../../src/runners/runtime/source.ts";
import { SshConnections } from "../../src/runners/ssh/connections.ts";
import { SshError } from "../../src/runners/ssh/failure.ts";
import { createSshRunner, type SshRunnerOptions } from "../../src/runners/ssh/runner.ts";
import type { SshTarget } from "../../src/runners/ssh/target.ts";
import { duplexOverStream } from "../../src/shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../src/shared/agent/peer.ts";
import { AGENT_PROTOCOL_VERSION, type NodeConfig } from "../../src/shared/agent/protocol.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { AgentError } from "../../src/shared/errors.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

const agentBundle = fileURLToPath(new URL("../../dist/agent/agent.cjs", import.meta.url));
const hash = (): string => createHash("sha256").update(readFileSync(agentBundle)).digest("hex").slice(0, 16);

let sshd: TestSshd;
let connections: SshConnections;
let targets: SshTarget[] = [];

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.remove());

beforeEach(() => {
  connections = makeConnections();
});
afterEach(async () => {
  for (const one of targets) await connections.close(one);
  targets = [];
  rmSync(controlDir(), { recursive: true, force: true });
});

function controlDir(): string {
  return join(sshd.directory, "c");
}

function makeConnections(): SshConnections {
  return new SshConnections({ controlDir: controlDir(), env: process.env, clock: systemClock, random: Math.random });
}

function target(more: Partial<SshTarget> = {}): SshTarget {
  const made: SshTarget = {
    host: "127.0.0.1",
    port: sshd.port,
    user: sshd.user,
    identityFiles: [sshd.key],
    hasOnlyTheseIdentities: true,
    configFiles: [],
    knownHosts: [join(sshd.directory, "known_hosts")],
    ...more,
  };
  targets.push(made);
  return made;
}

function runner(more: Partial<SshTarget> = {}, options: Partial<SshRunnerOptions> = {}): Runner {
  const runtimes = new RuntimeSource({
    cacheDir: join(sshd.directory, "cache"),
    registry: "http://127.0.0.1:9/",
  });
  return createSshRunner({ connections, runtimes, target: target(more), mayFetch: false, ...options });
}

describe("run", () => {
  test("what led to an earlier run of the machine is not taken up", async () => {
    const by = async (run: number): Promise<string> =>
      (await runner({ run }).run(["printenv", "SSH_CONNECTION"])).stdout;
    const first = await by(1);
    expect(await by(1)).toBe(first);
    expect(await by(2)).not.toBe(first);
    expect(readdirSync(controlDir()).filter((name) => name.endsWith(".conf"))).toHaveLength(1);
  });

  test("gives output, exit code, environment and input; nothing of it is in a process list", async () => {
    const script = `cat; echo "$A"; pwd >&2; ps -eo args | grep -c 'the[ ]secret'; exit 3`;
    const result = await runner().run(["sh", "-c", script], {
      env: { A: "it's the secret\nof two lines" },
      cwd: "~",
      stdin: "in\n",
    });
    expect(result).toEqual({
      exitCode: 3,
      stdout: "in\nit's the secret\nof two lines\n0\n",
      stderr: `${sshd.home}\n`,
    });
  });

  test("passes every byte of a word through", async () => {
    const words = ["", " ", "'\"$(id)`\\", "a\nb", "ü🦊", "!x*?[a]~"];
    const result = await runner().run(["printf", "%s|", ...words]);
    expect(result.stdout).toBe(`${words.join("|")}|`);
  });

  test("is not confused by what the login prints", async () => {
    writeFileSync(join(sshd.home, ".bashrc"), "echo noise; printf 'no newline'; echo complaint >&2\n");
    try {
      const result = await runner().run(["sh", "-c", "echo out; echo err >&2"]);
      expect(result).toEqual({ exitCode: 0, stdout: "out\n", stderr: "err\n" });
    } finally {
      rmSync(join(sshd.home, ".bashrc"));
    }
  });

  test("says when the login ends by itself", async () => {
    writeFileSync(join(sshd.home, ".bashrc"), "echo 'account closed' >&2; exit 7\n");
    try {
      await expect(runner().run(["true"])).rejects.toThrow(
        "The login on 127.0.0.1 ended with exit code 7 before our first command ran.",
      );
    } finally {
      rmSync(join(sshd.home, ".bashrc"));
    }
  });

  test("ends at its time-out and when it is cancelled", async () => {
    await expect(runner().run(["sleep", "60"], { timeoutMs: 500 })).rejects.toThrow("timeout");
    const abort = new AbortController();
    const running = runner().run(["sleep", "60"], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("cancelled")), 200);
    await expect(running).rejects.toThrow("cancelled");
  });

  test("uses one connection for all, also for those that come while it is made", async () => {
    const before = sshd.logins();
    const one = runner();
    const results = await Promise.all(Array.from({ length: 12 }, (_, index) => one.run(["echo", String(index)])));
    expect(results.map((result) => result.stdout.trim())).toEqual(Array.from({ length: 12 }, (_, i) => String(i)));
    // Sessions above MaxSessions (10) of one connection get a connection of their own.
    expect(sshd.logins() - before).toBeLessThanOrEqual(3);
    // The next process finds it.
    const other = makeConnections();
    const again = createSshRunner({ connections: other, target: target(), runtimes: runtimes(), mayFetch: false });
    const logins = sshd.logins();
    await again.run(["true"]);
    expect(sshd.logins()).toBe(logins);
  });
});

function runtimes(): RuntimeSource {
  return new RuntimeSource({ cacheDir: join(sshd.directory, "cache"), registry: "http://127.0.0.1:9/" });
}

describe("what keeps a host from being reached is said", () => {
  async function failureOf(more: Partial<SshTarget>): Promise<SshError> {
    const error: unknown = await runner(more)
      .run(["true"])
      .catch((one: unknown) => one);
    if (!(error instanceof SshError)) throw new Error(`Not an SshError: ${String(error)}`);
    return error;
  }

  test("nothing listens", async () => {
    const error = await failureOf({ port: 1 });
    expect(error.message).toBe("Cannot reach 127.0.0.1 by SSH: nothing listens on port 1.");
    expect(error).toBeInstanceOf(AgentError);
  });

  test("an unknown name", async () => {
    const error = await failureOf({ host: "no-such-host.invalid" });
    expect(error.message).toBe("Cannot reach no-such-host.invalid by SSH: the name no-such-host.invalid is not known.");
  });

  test("a refused key", async () => {
    const other = join(sshd.directory, "other");
    if (!existsSync(other)) execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    const error = await failureOf({ identityFiles: [other] });
    expect(error.message).toContain(
      `Cannot reach 127.0.0.1 by SSH: the login as ${sshd.user} was refused (it accepts: publickey`,
    );
    expect(error.hint).toContain(other);
  });

  test("a key that others can read", async () => {
    const open = join(sshd.directory, "open");
    writeFileSync(open, readFileSync(sshd.key), { mode: 0o644 });
    chmodSync(open, 0o644);
    const error = await failureOf({ identityFiles: [open] });
    expect(error.failure.kind).toBe("key-file");
    expect(error.hint).toBe(`chmod 600 ${open}`);
  });

  test("a changed host key, which is accepted once it is forgotten", async () => {
    await runner().run(["true"]);
    for (const one of targets) await connections.close(one);
    await sshd.stop();
    sshd.changeHostKey();
    await sshd.start();
    const error = await failureOf({});
    expect(error.failure.kind).toBe("host-key");
    const file = join(sshd.directory, "known_hosts");
    expect(error.hint).toBe(
      `If that is expected, forget the old key: ssh-keygen -f ${file} -R '[127.0.0.1]:${sshd.port}'`,
    );
    execFileSync("sh", ["-c", (error.hint ?? "").split(": ")[1] ?? "false"], { stdio: "ignore" });
    expect((await runner().run(["echo", "hi"])).stdout).toBe("hi\n");
  });

  test("a missing ssh", async () => {
    connections = new SshConnections({
      controlDir: controlDir(),
      env: process.env,
      clock: systemClock,
      random: Math.random,
      program: "/no/ssh",
    });
    const tools = { connections, runtimes: runtimes(), mayFetch: false };
    await expect(createSshRunner({ ...tools, target: target() }).run(["true"])).rejects.toThrow(
      "The program /no/ssh cannot be started",
    );
  });
});

describe("through another host", () => {
  let inner: TestSshd;
  beforeAll(async () => {
    inner = await startSshd();
  });
  afterAll(() => inner.remove());

  function behind(jumpPort: number): SshTarget {
    const config = join(sshd.directory, `config-${jumpPort}`);
    const lines = [
      "Host jump",
      "  HostName 127.0.0.1",
      `  Port ${jumpPort}`,
      `  IdentityFile ${sshd.key}`,
      "Host inner",
      "  HostName 127.0.0.1",
      `  Port ${inner.port}`,
      `  User ${inner.user}`,
      `  IdentityFile ${inner.key}`,
      "  ProxyJump jump",
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    const made: SshTarget = {
      host: "inner",
      configFiles: [join(sshd.directory, "missing"), config],
      knownHosts: [join(sshd.directory, "jump_known_hosts")],
    };
    targets.push(made);
    return made;
  }

  test("as the configuration says; the keys of both hosts are remembered and checked", async () => {
    const by = createSshRunner({ connections, runtimes: runtimes(), target: behind(sshd.port), mayFetch: false });
    const before = inner.logins();
    expect((await by.run(["echo", "through"])).stdout).toBe("through\n");
    expect(inner.logins()).toBe(before + 1);
    expect(readFileSync(join(sshd.directory, "jump_known_hosts"), "utf8").trim().split("\n").length).toBeGreaterThan(1);
    expect(await connections.resolve(behind(sshd.port))).toMatchObject({
      hostName: "127.0.0.1",
      port: inner.port,
      user: inner.user,
      proxyJump: "jump",
    });
  });

  test("which is named when it cannot be reached", async () => {
    const by = createSshRunner({ connections, runtimes: runtimes(), target: behind(1), mayFetch: false });
    await expect(by.run(["true"])).rejects.toThrow(
      "Cannot reach inner by SSH: the way through the proxy failed: ssh: connect to host 127.0.0.1 port 1: Connection refused.",
    );
  });
});

test("a machine that is still booting is waited for", async () => {
  await sshd.stop();
  // `startAgent` is what comes first on a new machine.
  const waiting = startAgent(runner({}, { bootWaitMs: 20_000 }), join(sshd.home, "boot"));
  await new Promise((resolve) => setTimeout(resolve, 700));
  await sshd.start();
  const { stop } = await waiting;
  await stop();
});

function nodeConfig(home: string): NodeConfig {
  return {
    clusterName: "c",
    clusterNameOnCloud: "c-1",
    clusterToken: "ab".repeat(32),
    index: 0,
    numNodes: 1,
    ip: "127.0.0.1",
    resources: { cpus: 1, memoryGib: 1, accelerators: {} },
    home,
    power: "leave",
    clusterInfo: "{}",
  };
}

async function startAgent(by: Runner, base: string): Promise<{ readonly stop: () => Promise<void> }> {
  const root = join(base, "node");
  const plan = {
    root,
    installDir: join(base, "agent"),
    bundle: { path: agentBundle, hash: hash() },
    config: Buffer.from(JSON.stringify(nodeConfig(join(base, "home")))),
  };
  await by.startAgent(plan);
  const agent = new AgentPeer(duplexOverStream(await by.connectAgent(root, { waitMs: 20_000 })), { role: "dialer" });
  const hello = await agent.call("hello", { protocol: AGENT_PROTOCOL_VERSION });
  expect(hello).toMatchObject({ clusterName: "c", index: 0 });
  return {
    stop: async () => {
      await agent.call("shutdown", { key: "1", jobs: "kill" });
      await agent.closed;
    },
  };
}

describe("startAgent", () => {
  test("brings runtime and program where they lack, and only then", async () => {
    const base = join(sshd.home, "a b's");
    const by = runner();
    await expect(by.connectAgent(join(base, "node"))).rejects.toThrow("No agent listens in");
    const { stop } = await startAgent(by, base);
    const runtime = join(base, "agent", runtimeFolder(pinnedRuntimes[process.arch === "arm64" ? "arm64" : "x64"]));
    const program = join(base, "agent", hash(), "agent.cjs");
    const before = [join(runtime, "bin/node"), program].map((path) => statSync(path).ino);
    expect(statSync(join(base, "node", "node.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(base, "agent")).filter((name) => name.startsWith(".new"))).toEqual([]);
    await stop();
    const again = await startAgent(by, base);
    expect([join(runtime, "bin/node"), program].map((path) => statSync(path).ino)).toEqual(before);
    await again.stop();
  });

  test("is followed by connections that outlive the requests that opened them", async () => {
    const base = join(sshd.home, "shared");
    const by = runner();
    const { stop } = await startAgent(by, base);
    const request = new AbortController();
    const stream = await by.connectAgent(join(base, "node"), { signal: request.signal });
    const agent = new AgentPeer(duplexOverStream(stream), { role: "dialer" });
    request.abort(new Error("cancelled"));
    expect(await agent.call("hello", { protocol: AGENT_PROTOCOL_VERSION })).toMatchObject({ clusterName: "c" });
    agent.close();
    await stop();
  });

  test("lets the host fetch the runtime itself, and takes nothing that is not what it should be", async () => {
    const asked: string[] = [];
    const tampered = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.end("not the package");
    });
    await new Promise<void>((resolve) => tampered.listen(0, "127.0.0.1", resolve));
    const registry = `http://127.0.0.1:${(tampered.address() as AddressInfo).port}/`;
    const source = new RuntimeSource({ cacheDir: join(sshd.directory, "cache"), registry });
    const base = join(sshd.home, "fetch");
    const { stop } = await startAgent(runner({}, { runtimes: source, mayFetch: true }), base);
    expect(asked).toEqual([`/${pinnedRuntimes[process.arch === "arm64" ? "arm64" : "x64"].tarballPath}`]);
    await stop();
    await new Promise((resolve) => tampered.close(resolve));
  });

  test("says what is wrong with the place", async () => {
    const base = join(sshd.home, "file");
    writeFileSync(base, "");
    await expect(startAgent(runner(), base)).rejects.toThrow(
      /127\.0\.0\.1 cannot be prepared: mkdir: .*Not a directory/,
    );
  });

  test("a cut in the middle is an error, and the next attempt succeeds", async () => {
    const base = join(sshd.home, "cut");
    const by = runner();
    await by.run(["true"]);
    const starting = startAgent(by, base);
    setTimeout(() => void sshd.stop(), 150);
    await expect(starting).rejects.toThrow(AgentError);
    await sshd.start();
    const { stop } = await startAgent(runner(), base);
    await stop();
  });
});
