import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { listProcesses } from "../../src/agent/node/proc.ts";
import { killProcessesOf, signalProcess } from "../e2e/support/process-tree.ts";
import { freePort } from "./free-port.ts";

/** An sshd of our own on 127.0.0.1, which lets this user in with a key and has a HOME of its own. */
export interface TestSshd {
  readonly directory: string;
  readonly home: string;
  readonly port: number;
  readonly user: string;
  /** Path of the private key that is let in. */
  readonly key: string;
  /** Number of connections that were let in so far. */
  logins(): number;
  log(): string;
  /** Ends sshd and every connection. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Gives it another host key. */
  changeHostKey(): void;
  remove(): Promise<void>;
}

export function makeKey(path: string): void {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path]);
}

export async function startSshd(options: { readonly config?: readonly string[] } = {}): Promise<TestSshd> {
  const directory = mkdtempSync(join(tmpdir(), "sshd-"));
  const home = join(directory, "home");
  mkdirSync(home);
  const key = join(directory, "key");
  makeKey(key);
  makeKey(join(directory, "host_key"));
  copyFileSync(`${key}.pub`, join(directory, "authorized_keys"));
  const port = await freePort();
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const lines = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(directory, "host_key")}`,
    `AuthorizedKeysFile ${join(directory, "authorized_keys")}`,
    `PidFile ${join(directory, "pid")}`,
    `SetEnv HOME=${home}`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "PermitRootLogin yes",
    "LogLevel VERBOSE",
    ...(options.config ?? []),
  ];
  writeFileSync(join(directory, "sshd_config"), `${lines.join("\n")}\n`);
  let sshd: ChildProcess | undefined;
  const log = (): string => readFileSync(join(directory, "log"), "utf8");
  const start = async (): Promise<void> => {
    const args = ["-D", "-f", join(directory, "sshd_config"), "-E", join(directory, "log")];
    sshd = spawn("/usr/sbin/sshd", args, { stdio: "ignore" });
    await untilOpen(port);
  };
  const stop = async (): Promise<void> => {
    const child = sshd;
    sshd = undefined;
    if (child?.pid === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // Connections have processes of their own, which sshd does not take with it.
    const sessions = sshdProcessesBelow(child.pid);
    process.kill(child.pid, "SIGKILL");
    for (const pid of sessions) signalProcess(pid, "SIGKILL");
    await ended;
  };
  await start();
  return {
    directory,
    home,
    port,
    user: userInfo().username,
    key,
    logins: () => log().split("Accepted publickey").length - 1,
    log,
    start,
    stop,
    changeHostKey: () => {
      rmSync(join(directory, "host_key"));
      makeKey(join(directory, "host_key"));
    },
    remove: async () => {
      await stop();
      await killProcessesOf(directory);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function sshdProcessesBelow(pid: number): readonly number[] {
  const all = listProcesses().filter((one) => one.command === "sshd");
  const found = new Set([pid]);
  for (let grew = true; grew;) {
    const more = all.filter((one) => found.has(one.parent) && !found.has(one.pid));
    for (const one of more) found.add(one.pid);
    grew = more.length > 0;
  }
  return [...found].filter((one) => one !== pid);
}

async function untilOpen(port: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ port, host: "127.0.0.1" });
      socket.once("data", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isOpen) return;
    if (Date.now() > deadline) throw new Error(`No sshd listens on port ${port}.`);
    await delay(10);
  }
}
