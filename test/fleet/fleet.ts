import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningProgram, RunOptions, RunResult } from "../e2e/support/run-program.ts";
import { createDisk } from "./host-disk.ts";
import type { HostOptions } from "./host-options.ts";
import { Host } from "./host.ts";
import { World } from "./world.ts";

/** How many hosts are made at the same time. */
const PARALLEL = 4;

/**
 * Little Linux hosts on this machine, and the network in which they, the programs under test and stand-ins of the internet live.
 * Nothing in it reaches anything outside. Everything ends with `dispose`, and with this process.
 */
export class Fleet {
  /** A directory of this machine that goes with the fleet, e.g. for the HOME of who uses the hosts. */
  readonly root: string;
  /** Private key that every host's users accept; its public half is next to it. */
  readonly keyFile: string;
  readonly world: World;
  readonly #hosts = new Map<string, Host>();
  /** Those that have a disk and were booted. */
  readonly #made = new Set<Host>();
  #count = 0;

  private constructor(world: World) {
    this.world = world;
    this.root = world.root;
    this.keyFile = join(world.root, "fleet-key");
  }

  static async create(): Promise<Fleet> {
    const fleet = new Fleet(await World.create());
    await fleet.world.require(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", fleet.keyFile]);
    return fleet;
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts.values()];
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`There is no host ${name}.`);
    return host;
  }

  /** Makes a host and waits until its sshd listens. */
  async addHost(options: HostOptions): Promise<Host> {
    const host = await this.#build(options);
    this.#tellNames();
    return host;
  }

  /** Makes several hosts, in the order of their addresses. */
  async addHosts(all: readonly HostOptions[]): Promise<Host[]> {
    const made: Host[] = [];
    const entries = all.entries();
    const work = async (): Promise<void> => {
      for (const [index, options] of entries) made[index] = await this.#build(options);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    this.#tellNames();
    return made;
  }

  /** Removes a host and its disk, as a cloud does with a machine that was terminated. */
  async removeHost(host: Host): Promise<void> {
    this.#made.delete(host);
    if (host.isOn) await host.kill();
    this.#hosts.delete(host.name);
    const disk = `${this.root}/hosts/${host.name}`;
    const script = `mount | awk -v d="$0/" 'index($3 "/", d) == 1 { print $3 }' | sort -r | xargs -r umount -l; rm -rf --one-file-system -- "$0"`;
    await this.world.require(["sh", "-c", script, disk]);
  }

  /** Starts a program in the fleet's network, as one of this machine's user. */
  start(argv: readonly string[], options: Partial<RunOptions> = {}): RunningProgram {
    return this.world.start(argv, options);
  }

  /** Runs a program in the fleet's network to its end. */
  run(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<RunResult> {
    return this.world.run(argv, options);
  }

  async dispose(): Promise<void> {
    await this.world.dispose();
  }

  async #build(options: HostOptions): Promise<Host> {
    if (this.#hosts.has(options.name)) throw new Error(`There is a host ${options.name} already.`);
    this.#count += 1;
    const index = this.#count;
    const users = options.users ?? [{ name: "dev" }];
    // 250 hosts per block of 256 keeps clear of 0 and 255; the bridge has the first address.
    const address = `10.77.${Math.floor(index / 250)}.${(index % 250) + 2}`;
    const host = new Host({ world: this.world, options, users, address, index });
    this.#hosts.set(options.name, host);
    const publicKey = readFileSync(`${this.keyFile}.pub`, "utf8").trim();
    await createDisk({ world: this.world, options, users, publicKey, directory: `${this.root}/hosts/${options.name}` });
    await host.boot();
    this.#made.add(host);
    return host;
  }

  /** Every host knows the others by name, as on a network with a name server. */
  #tellNames(): void {
    const lines = this.hosts.map(({ address, name }) => `${address} ${name}`);
    for (const host of this.#made) host.setNames(lines);
  }
}
