import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { signalProcess, describeProcess, type ProcessInfo } from "../e2e/support/process-tree.ts";
import type { RunningProgram, RunOptions, RunResult } from "../e2e/support/run-program.ts";
import { waitFor } from "../e2e/support/wait-for.ts";
import { createHostKey, FIRST_UID } from "./host-disk.ts";
import type { HostOptions, HostUser, LinkOptions } from "./host-options.ts";
import { Link } from "./link.ts";
import { GATEWAY, readReady, scriptPath, startInside, type World } from "./world.ts";

/** Exit code of a host's process 1 that asks to be started again. */
const REBOOT = 10;

/** A network card that nobody has. */
const NOBODY = "02:77:ff:ff:ff:ff";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ExecOptions extends Partial<RunOptions> {
  /** Account that runs it; default root. */
  readonly user?: string;
}

interface Boot {
  readonly child: ChildProcess;
  /** Process 1 of the host, as this process sees it. */
  readonly pid: number;
  readonly link: string;
  readonly ended: Promise<number | null>;
}

interface HostParts {
  readonly world: World;
  readonly options: HostOptions;
  readonly users: readonly HostUser[];
  readonly address: string;
  /** Distinguishes the host's network interfaces in the world. */
  readonly index: number;
}

/** One little Linux machine of a fleet. It is on after `addHost`. */
export class Host {
  readonly name: string;
  /** IP address by which everything in the fleet's world reaches it. */
  readonly address: string;
  readonly sshPort: number;
  readonly users: readonly HostUser[];
  readonly #parts: HostParts;
  readonly #addresses: string[] = [];
  readonly #link: Link;
  #boots = 0;
  #boot: Boot | undefined;
  #names: readonly string[] = [];

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.name = parts.options.name;
    this.address = parts.address;
    this.sshPort = parts.options.sshd?.port ?? 22;
    this.users = parts.users;
    this.#link = new Link(parts.world);
  }

  get isOn(): boolean {
    return this.#boot !== undefined;
  }

  /** Starts the host and waits until its sshd listens. The link is as it was set. */
  async boot(): Promise<void> {
    if (this.#boot !== undefined) throw new Error(`${this.name} is on.`);
    const { world, index } = this.#parts;
    this.#boots += 1;
    const link = `h${index}b${this.#boots}`;
    const argv = ["unshare", "-m", "-p", "-u", "-i", "-f", "--kill-child"];
    const script = ["bash", scriptPath("host-boot.sh"), world.root, this.name, link];
    const [command = "", ...rest] = world.enter([...argv, ...script]);
    const env = { PATH, LANG: "C.UTF-8", FLEET_NETWORK: this.#network() };
    const child = spawn(command, rest, { env, stdio: ["ignore", "pipe", "pipe"] });
    const pid = await readReady(child, `The host ${this.name}`);
    const boot: Boot = {
      child,
      pid,
      link,
      ended: once(child, "exit").then(([code]: unknown[]) => code as number | null),
    };
    this.#boot = boot;
    boot.ended.then(
      async (code) => {
        if (this.#boot === boot) this.#boot = undefined;
        await this.#link.detach();
        if (code === REBOOT) await this.boot();
      },
      () => undefined,
    );
    await this.#link.attach({ interface: link, hostPid: pid });
  }

  /** Ends every process at once, as a power cut does: nobody at the other end of a connection hears of it. The disk stays. */
  async kill(): Promise<void> {
    const boot = this.#requireOn();
    await this.#link.cut();
    signalProcess(boot.pid, "SIGKILL");
    await boot.ended;
    await waitFor(`${this.name} to be off`, () => !this.isOn);
  }

  /** Shuts the host down in order: connections end properly. */
  async powerOff(): Promise<void> {
    const boot = this.#requireOn();
    signalProcess(boot.pid, "SIGTERM");
    await boot.ended;
    await waitFor(`${this.name} to be off`, () => !this.isOn);
  }

  /** Turns the host off and on. `isHard`: as by `kill`. `changesHostKey`: it comes back as another machine. */
  async reboot(options: { readonly isHard?: boolean; readonly changesHostKey?: boolean } = {}): Promise<void> {
    await (options.isHard === true ? this.kill() : this.powerOff());
    if (options.changesHostKey === true) await this.changeHostKey();
    await this.boot();
  }

  /** Gives the host another identity; connections from then on see it. */
  async changeHostKey(): Promise<void> {
    await createHostKey(this.#parts.world, this.#disk());
    if (this.isOn) await this.restartSshd();
  }

  /** Stops every process in its tracks; the kernel still answers for it, as on a machine that hangs. */
  async pause(): Promise<void> {
    let seen = -1;
    // Who was not stopped yet may have started another meanwhile.
    for (let pids = this.#pids(); pids.length !== seen; pids = this.#pids()) {
      seen = pids.length;
      for (const pid of pids) signalProcess(pid, "SIGSTOP");
    }
  }

  async resume(): Promise<void> {
    for (const pid of this.#pids()) signalProcess(pid, "SIGCONT");
  }

  /** Ends the sshd that listens and, with `sessions`, every connection. */
  async killSshd(options: { readonly sessions?: boolean } = {}): Promise<void> {
    const listener = Number(readFileSync(this.#seen("/run/sshd.pid"), "utf8"));
    const all = this.processes().filter(
      ({ argv }) => argv[0]?.startsWith("sshd") === true || argv[0] === "/usr/sbin/sshd",
    );
    const isListener = ({ argv }: ProcessInfo): boolean => argv[0]?.includes("[listener]") === true;
    const victims = options.sessions === true ? all : all.filter(isListener);
    if (victims.length === 0) throw new Error(`${this.name} has no sshd (pid ${listener}).`);
    for (const { pid } of victims) signalProcess(pid, "SIGKILL");
    await waitFor(`sshd of ${this.name} to end`, () => !this.processes().some(isListener));
  }

  async startSshd(): Promise<void> {
    rmSync(this.#seen("/run/sshd.pid"), { force: true });
    signalProcess(this.#requireOn().pid, "SIGUSR1");
    await waitFor(`sshd of ${this.name}`, () => existsSync(this.#seen("/run/sshd.pid")));
  }

  async restartSshd(): Promise<void> {
    await this.killSshd();
    await this.startSshd();
  }

  /** What runs on the host, by pids as this process sees them. */
  processes(): ProcessInfo[] {
    return this.#pids().map(describeProcess);
  }

  /** Sends a signal to every process whose command line matches; gives how many there were. */
  signal(pattern: RegExp, signal: NodeJS.Signals): number {
    const victims = this.processes().filter(({ argv }) => pattern.test(argv.join(" ")));
    for (const { pid } of victims) signalProcess(pid, signal);
    return victims.length;
  }

  /** Starts a program on the host without SSH. */
  start(argv: readonly string[], options: ExecOptions = {}): RunningProgram {
    const { user, ...rest } = options;
    // nsenter changes the account itself: libfaketime would not survive a change between two programs of the host.
    const id = user === undefined ? 0 : FIRST_UID + this.users.findIndex(({ name }) => name === user);
    if (id < FIRST_UID && id !== 0) throw new Error(`${this.name} has no user ${user}.`);
    const account = [`--setuid=${id}`, `--setgid=${id}`];
    const pid = String(this.#requireOn().pid);
    const target = ["nsenter", "-t", pid, "-m", "-n", "-p", "-u", "-i", "-r", "-w", ...account, "--"];
    const home = user === undefined ? "/root" : `/home/${user}`;
    const env = { PATH, HOME: home, LANG: "C.UTF-8", ...rest.env };
    return startInside([...target, ...argv], { ...rest, env });
  }

  /** Starts a program of this machine, with its files, in the network of the host. It ends with the host at the latest. */
  startBeside(argv: readonly string[], options: Partial<RunOptions> = {}): RunningProgram {
    const target = ["nsenter", "-t", String(this.#requireOn().pid), "-n", "-p", "--"];
    return startInside([...target, ...argv], { ...options, env: { PATH, ...options.env } });
  }

  /** Runs a program on the host without SSH; a non-zero exit code is a result. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    return this.start(argv, options).result;
  }

  /** Writes a file of the host, on or off; it belongs to root. */
  writeFile(path: string, content: string | Uint8Array, options: { readonly mode?: number } = {}): void {
    const file = this.#seen(path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: options.mode ?? 0o644 });
  }

  readFile(path: string): string {
    return readFileSync(this.#seen(path), "utf8");
  }

  exists(path: string): boolean {
    return existsSync(this.#seen(path));
  }

  list(path: string): string[] {
    return existsSync(this.#seen(path)) ? readdirSync(this.#seen(path)) : [];
  }

  /** Takes a directory of another host's disk over, with all that is in it; it belongs to root. */
  copyFrom(other: Host, path: string): void {
    cpSync(other.#seen(path), this.#seen(path), { recursive: true, force: true, verbatimSymlinks: true });
  }

  /** The host's public key, as a line of known_hosts has it after the name. */
  hostKey(): string {
    return this.readFile("/etc/ssh/ssh_host_ed25519_key.pub").trim();
  }

  /** Impairs the host's network, whatever connections there are. */
  async setLink(options: LinkOptions): Promise<void> {
    await this.#link.set(options);
  }

  /** Whatever this host sends to the addresses vanishes on the way, without an error; the others still reach everybody. */
  async loseSight(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      await this.#require(["ip", "neigh", "replace", address, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"]);
    }
  }

  /** Ends what `loseSight` did. */
  async regainSight(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await this.#require(["ip", "neigh", "del", address, "dev", "eth0"]);
  }

  /** Routes one more IP address to the host, e.g. the public one of an instance. Kept over reboots. */
  async addAddress(address: string): Promise<void> {
    this.#addresses.push(address);
    if (this.isOn) await this.#require(["ip", "addr", "add", `${address}/32`, "dev", "lo"]);
    await this.#parts.world.require(["ip", "route", "replace", `${address}/32`, "via", this.address]);
  }

  async removeAddress(address: string): Promise<void> {
    this.#addresses.splice(this.#addresses.indexOf(address), 1);
    if (this.isOn) await this.exec(["ip", "addr", "del", `${address}/32`, "dev", "lo"]);
    await this.#parts.world.require(["ip", "route", "del", `${address}/32`]);
  }

  /** Lines of /etc/hosts: the names of the fleet. */
  setNames(lines: readonly string[]): void {
    this.#names = lines;
    this.writeFile("/etc/hosts", ["127.0.0.1 localhost", `127.0.1.1 ${this.name}`, ...this.#names, ""].join("\n"));
  }

  async #require(argv: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.exec(argv);
    if (exitCode !== 0) throw new Error(`${argv.join(" ")} on ${this.name}: ${stderr}`);
  }

  #requireOn(): Boot {
    if (this.#boot === undefined) throw new Error(`${this.name} is off.`);
    return this.#boot;
  }

  #disk(): string {
    return `${this.#parts.world.root}/hosts/${this.name}`;
  }

  /** A path of the host as this process finds it; without /run, /dev and /proc when the host is off. */
  #seen(path: string): string {
    if (this.#boot !== undefined) return join(`/proc/${this.#boot.pid}/root`, path);
    return this.#parts.world.seenFromHere(join(this.#disk(), "root", path));
  }

  #network(): string {
    const routes = {
      open: [`route add default via ${GATEWAY}`],
      none: [],
      // Packets for anywhere go out of one end of a cable, and nobody at the other end takes them for his.
      silent: [
        "link add out type veth peer name void",
        "link set out up arp off",
        "link set void up",
        "route add default dev out",
      ],
    } as const;
    const { index } = this.#parts;
    // Its network card stays the same when it boots again, or the neighbours' caches would lead nowhere for a while.
    const mac = ["02:77:00:00", index >> 8, index & 255].map((part) => (typeof part === "string" ? part : hex(part)));
    return [
      "link set lo up",
      `link set eth0 address ${mac.join(":")}`,
      `addr add ${this.address}/16 dev eth0`,
      "link set eth0 up",
      ...this.#addresses.map((address) => `addr add ${address}/32 dev lo`),
      ...routes[this.#parts.options.egress ?? "none"],
    ].join("\n");
  }

  #pids(): number[] {
    const space = readlinkSync(`/proc/${this.#requireOn().pid}/ns/pid`);
    return readdirSync("/proc")
      .filter((name) => /^\d+$/u.test(name) && namespaceOf(name) === space)
      .map(Number);
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    // It has ended.
    return "";
  }
}
