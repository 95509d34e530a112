import { accessSync, constants, readFileSync, statfsSync } from "node:fs";
import { availableParallelism, hostname, networkInterfaces, totalmem, userInfo } from "node:os";
import { listGpus } from "../../platform/gpus.ts";
import type { HostFacts } from "../../shared/agent/host.ts";
import { readBootId } from "../node/proc.ts";

const GIB = 2 ** 30;

type Environment = Readonly<Record<string, string | undefined>>;

/** What this machine has, as far as its user can see. */
export async function readFacts(base: string, env: Environment): Promise<HostFacts> {
  const user = userInfo();
  const sshPort = loginPort(env);
  const disk = statfsSync(base);
  return {
    hostname: hostname(),
    user: user.username,
    home: user.homedir,
    os: readOsName(),
    arch: process.arch,
    cpus: availableParallelism(),
    memoryGib: round(totalmem() / GIB),
    gpus: await listGpus(),
    diskGib: round((disk.blocks * disk.bsize) / GIB),
    diskFreeGib: round((disk.bavail * disk.bsize) / GIB),
    addresses: listAddresses(),
    ...(sshPort === undefined ? {} : { sshPort }),
    bootId: readBootId(),
    hasBash: canRun("/bin/bash"),
  };
}

/** The last of `client address, port, own address, port`, as sshd tells its sessions. */
function loginPort(env: Environment): number | undefined {
  const port = Number(env["SSH_CONNECTION"]?.split(" ")[3]);
  return Number.isInteger(port) && port > 0 ? port : undefined;
}

function round(amount: number): number {
  return Math.floor(amount * 10) / 10;
}

function readOsName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    // Not every system says.
    return "Linux";
  }
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** IPv4 before IPv6, and the interface that leads out before the others: virtual bridges have addresses that no other machine knows. */
function listAddresses(): readonly string[] {
  const first = defaultInterface();
  const all = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.filter((one) => !one.internal && !one.address.startsWith("fe80:")).map((one) => ({ ...one, name })),
  );
  const rank = (one: (typeof all)[number]): number => (one.family === "IPv4" ? 0 : 2) + (one.name === first ? 0 : 1);
  return all.sort((a, b) => rank(a) - rank(b)).map((one) => one.address);
}

function defaultInterface(): string | undefined {
  try {
    const lines = readFileSync("/proc/net/route", "utf8").split("\n").slice(1);
    return lines.map((line) => line.split(/\s+/)).find((fields) => fields[1] === "00000000")?.[0];
  } catch {
    return undefined;
  }
}
