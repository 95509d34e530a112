import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { GpuProduct, HostOptions, HostUser, SshdOptions } from "./host-options.ts";
import { scriptPath, type World } from "./world.ts";

/** Numbers of the first account on each host, as adduser gives them. */
export const FIRST_UID = 1000;

const GPU_MEMORY_MIB = {
  "NVIDIA L4": 23_034,
  "NVIDIA A100-SXM4-80GB": 81_920,
  "NVIDIA H100 80GB HBM3": 81_559,
} as const satisfies Record<GpuProduct, number>;

const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** What is never there: a node needs no runtime of its own. */
const NODE_PROGRAMS = /^(?:node|nodejs|npm|npx|corepack)$/u;
const PYTHON_PROGRAMS = /^(?:python|pip|pydoc)[\d.]*$/u;

interface DiskOptions {
  readonly world: World;
  readonly options: HostOptions;
  readonly users: readonly HostUser[];
  /** Key that every user accepts who says nothing else. */
  readonly publicKey: string;
  /** Of the disk, in the world. */
  readonly directory: string;
}

/** Makes the disk of a host, and what is written on it. */
export async function createDisk(disk: DiskOptions): Promise<void> {
  const { world, options } = disk;
  await world.require(["bash", scriptPath("host-disk.sh"), disk.directory, String(options.diskMib ?? 0)]);
  const root = world.seenFromHere(`${disk.directory}/root`);
  const write = writerBelow(root);
  write("etc/hostname", `${options.name}\n`);
  write("etc/resolv.conf", "");
  write("etc/ssh/sshd_config", sshdConfig(options.sshd ?? {}));
  if (options.sshd?.banner !== undefined) write("etc/ssh/banner", `${options.sshd.banner}\n`);
  if (options.sshd?.slowLoginMs !== undefined) write("etc/ssh/sshrc", `sleep ${options.sshd.slowLoginMs / 1000}\n`);
  if (options.readOnlyHome === true) write("etc/fleet/read-only-home", "");
  writeUsers(root, disk);
  removePrograms(root, options);
  for (const [name, file] of Object.entries(options.installed ?? {})) {
    copyFileSync(file, join(root, "usr/local/bin", name));
    chmodSync(join(root, "usr/local/bin", name), 0o755);
  }
  for (const name of ["poweroff", "halt", "reboot", "shutdown"]) install(root, "power.sh", `usr/sbin/${name}`);
  if (options.gpus !== undefined) installGpus(root, options.gpus);
  if (options.clockSkewSeconds !== undefined) skewClock(root, options.clockSkewSeconds);
  await createHostKey(world, disk.directory);
  await setPasswords(disk);
}

/** Gives the host another identity, as a machine has that was installed anew. Counts for connections from then on. */
export async function createHostKey(world: World, directory: string): Promise<void> {
  const key = `${directory}/root/etc/ssh/ssh_host_ed25519_key`;
  for (const file of [key, `${key}.pub`]) rmSync(world.seenFromHere(file), { force: true });
  await world.require(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
}

function writerBelow(root: string): (path: string, text: string, mode?: number) => void {
  return (path, text, mode = 0o644) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode });
  };
}

function install(root: string, script: string, path: string): void {
  const file = join(root, path);
  rmSync(file, { force: true });
  copyFileSync(scriptPath(script), file);
  chmodSync(file, 0o755);
}

function sshdConfig(options: SshdOptions): string {
  const lines: Readonly<Record<string, string>> = {
    Port: String(options.port ?? 22),
    ListenAddress: "0.0.0.0",
    HostKey: "/etc/ssh/ssh_host_ed25519_key",
    PidFile: "/run/sshd.pid",
    // Without PAM, because its modules reach for systemd and for what else the machine has.
    UsePAM: "no",
    UseDNS: "no",
    PermitRootLogin: "prohibit-password",
    PasswordAuthentication: options.passwords === true ? "yes" : "no",
    KbdInteractiveAuthentication: "no",
    PubkeyAuthentication: options.keys === false ? "no" : "yes",
    ...(options.banner === undefined ? {} : { Banner: "/etc/ssh/banner" }),
    PrintMotd: "no",
    AcceptEnv: "LANG LC_*",
    Subsystem: "sftp internal-sftp",
    ...options.config,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name} ${value}\n`)
    .join("");
}

function writeUsers(root: string, disk: DiskOptions): void {
  const write = writerBelow(root);
  const isSystem = (line: string): boolean => line !== "" && Number(line.split(":")[2] ?? 0) < FIRST_UID;
  const keep = (file: string): string[] => readFileSync(join(root, file), "utf8").split("\n").filter(isSystem);
  const passwd = keep("etc/passwd");
  const group = keep("etc/group");
  const names = new Set(passwd.map((line) => line.split(":")[0]));
  const shadow = readFileSync(join(root, "etc/shadow"), "utf8")
    .split("\n")
    .filter((line) => names.has(line.split(":")[0]))
    // An account without a password is locked for sshd when its field says "!".
    .map((line) => line.replace(/^root:[^:]*:/u, "root:*:"));
  for (const [index, user] of disk.users.entries()) {
    const id = FIRST_UID + index;
    passwd.push(`${user.name}:x:${id}:${id}::/home/${user.name}:${user.shell ?? "/bin/bash"}`);
    group.push(`${user.name}:x:${id}:`);
    shadow.push(`${user.name}:*:20000:0:99999:7:::`);
    createHome(root, { user, id, publicKey: disk.publicKey });
  }
  write("etc/passwd", `${passwd.join("\n")}\n`);
  write("etc/group", `${group.join("\n")}\n`);
  write("etc/shadow", `${shadow.join("\n")}\n`, 0o600);
  write("root/.ssh/authorized_keys", `${disk.publicKey}\n`, 0o600);
}

function createHome(
  root: string,
  account: { readonly user: HostUser; readonly id: number; readonly publicKey: string },
): void {
  const { user } = account;
  const home = `home/${user.name}`;
  const write = writerBelow(root);
  const keys = user.authorizedKeys ?? [account.publicKey];
  write(`${home}/.ssh/authorized_keys`, `${keys.join("\n")}\n`, 0o600);
  chmodSync(join(root, home, ".ssh"), 0o700);
  if (user.hasProfile !== false) {
    cpSync(join(root, "etc/skel"), join(root, home), { recursive: true });
    if (user.bashrc !== undefined) write(`${home}/.bashrc`, user.bashrc);
  }
  chown(join(root, home), account.id);
}

function removePrograms(root: string, options: HostOptions): void {
  for (const directory of ["usr/bin", "usr/sbin"]) {
    for (const name of readdirSync(join(root, directory))) {
      const isMissing =
        NODE_PROGRAMS.test(name) ||
        (options.python !== true && PYTHON_PROGRAMS.test(name)) ||
        options.without?.includes(name) === true;
      if (isMissing) rmSync(join(root, directory, name), { force: true });
    }
  }
}

function installGpus(root: string, gpus: readonly GpuProduct[]): void {
  const lines = gpus.map((name, index) => {
    const uuid = `GPU-00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
    return [index, name, GPU_MEMORY_MIB[name], uuid, "550.54.15"].join("|");
  });
  writerBelow(root)("etc/fleet/gpus", `${lines.join("\n")}\n`);
  install(root, "nvidia-smi.sh", "usr/bin/nvidia-smi");
}

function skewClock(root: string, seconds: number): void {
  const write = writerBelow(root);
  write("etc/faketimerc", `${seconds < 0 ? "" : "+"}${seconds}\n`);
  write("etc/ld.so.preload", `${FAKETIME}\n`);
}

async function setPasswords(disk: DiskOptions): Promise<void> {
  const lines = disk.users.flatMap(({ name, password }) => (password === undefined ? [] : [`${name}:${password}`]));
  if (lines.length === 0) return;
  // With a method named, chpasswd does without PAM.
  const argv = ["chroot", `${disk.directory}/root`, "/usr/sbin/chpasswd", "-c", "SHA512"];
  await disk.world.require(argv, { stdin: `${lines.join("\n")}\n` });
}

function chown(path: string, id: number): void {
  chownSync(path, id, id);
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), id, id);
  }
}
