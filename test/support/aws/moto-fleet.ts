import { DescribeInstancesCommand, StopInstancesCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "../../e2e/support/wait-for.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { Host } from "../../fleet/host.ts";
import { installSudo } from "../../fleet/sudo.ts";
import { applyUserData, readUserData, usersOf } from "./cloud-init.ts";
import { FaultProxy, type SeenCall } from "./fault-proxy.ts";
import { Moto, type MotoOptions } from "./moto.ts";
import { itemsOf, textOf } from "./xml-items.ts";

/** Port of AWS in the fleet's network. */
const PORT = 4566;
const LOOK_MS = 150;
/** The relay ends with the fleet, long before this. */
const RELAY_MS = 3_600_000;

interface Machine {
  readonly id: string;
  readonly region: string;
  readonly userData: string;
  readonly imageId: string;
  readonly isTerminatedByPowerOff: boolean;
  readonly isSpot: boolean;
  host: Host | undefined;
  /** Addresses that lead to the host. */
  addresses: readonly string[];
  /** Whether it should be on. */
  isOn: boolean;
  /** What is being done to it, one thing at a time. */
  work: Promise<void>;
}

/**
 * EC2 with machines in it: each instance that moto runs is a host of a fleet, with its user data applied and its addresses routed to
 * it. A host that powers itself off stops or ends its instance. Programs of the fleet's network find AWS at `url`.
 */
export class MotoFleet {
  readonly fleet: Fleet;
  readonly moto: Moto;
  readonly proxy: FaultProxy;
  readonly url = `http://127.0.0.1:${PORT}`;
  /** What went wrong with machines; a test looks at it at its end. */
  readonly errors: unknown[] = [];
  readonly #machines = new Map<string, Machine>();
  /** Image → the host whose disk it is. */
  readonly #disks = new Map<string, Host>();
  readonly #watcher: NodeJS.Timeout;

  private constructor(parts: { readonly fleet: Fleet; readonly moto: Moto; readonly proxy: FaultProxy }) {
    this.fleet = parts.fleet;
    this.moto = parts.moto;
    this.proxy = parts.proxy;
    this.proxy.onDone = (call, answer) => this.#follow(call, answer);
    this.#watcher = setInterval(() => this.#watchPower(), LOOK_MS);
  }

  static async create(options: Pick<MotoOptions, "withManagedPolicies"> = {}): Promise<MotoFleet> {
    const [fleet, moto] = await Promise.all([Fleet.create(), Moto.start({ ...options, withNodeImages: true })]);
    await moto.connectDefaultVpc();
    const proxy = await FaultProxy.open(moto.url);
    const socket = join(fleet.root, "aws.sock");
    await proxy.listenAt(socket);
    let isReady = false;
    const program = fileURLToPath(new URL("relay.ts", import.meta.url));
    const onOutput = (): void => void (isReady = true);
    void fleet.start([process.execPath, program, String(PORT), socket], { onOutput, timeoutMs: RELAY_MS });
    const made = new MotoFleet({ fleet, moto, proxy });
    await waitFor("AWS in the fleet's network", () => isReady);
    return made;
  }

  /** The host of an instance, once it is there. */
  async hostOf(id: string): Promise<Host> {
    const machine = this.#machines.get(id);
    await machine?.work;
    if (machine?.host === undefined) throw new Error(`The instance ${id} has no host.`);
    return machine.host;
  }

  /** Whether the instance's machine has booted. */
  isOn(id: string): boolean {
    return this.#machines.get(id)?.isOn === true;
  }

  /** Announces to a spot instance that it is taken away, or may be. */
  announce(id: string, notice: "spot/instance-action" | "events/recommendations/rebalance", at: Date): void {
    const time = `${at.toISOString().slice(0, 19)}Z`;
    const values = notice === "spot/instance-action" ? { action: "terminate", time } : { noticeTime: time };
    writeFileSync(this.#metadataFile(id), JSON.stringify({ [notice]: values }));
  }

  /** Takes a spot instance away. */
  async reclaim(id: string): Promise<void> {
    const entry = this.proxy.world.ledger.get(id);
    if (entry !== undefined) Object.assign(entry, { state: "terminated", changedMs: Date.now() });
    this.proxy.world.reasons.set(id, "Server.SpotInstanceTermination");
    await this.moto.ec2(entry?.region).send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    this.#remove(id);
    await this.settle();
  }

  /** Resolves when nothing is being done to any machine. */
  async settle(): Promise<void> {
    await Promise.all([...this.#machines.values()].map((machine) => machine.work));
  }

  async dispose(): Promise<void> {
    clearInterval(this.#watcher);
    await this.settle();
    await this.fleet.dispose();
    await this.proxy.close();
    this.moto.stop();
  }

  #follow(call: SeenCall, answer: string): void {
    const { action, params } = call;
    const ids = [...params].flatMap(([key, value]) => (/^InstanceId\.\d+$/u.test(key) ? [value] : []));
    if (action === "ec2:CreateImage") this.#savedDisk(params, answer);
    if (action === "ec2:RunInstances") this.#created(call, answer);
    if (action === "ec2:StartInstances") for (const id of ids) this.#turnOn(id);
    if (action === "ec2:StopInstances") for (const id of ids) this.#turnOff(id);
    if (action === "ec2:TerminateInstances") for (const id of ids) this.#remove(id);
  }

  /** Images that are made of a machine start new ones with what its user had at home. */
  #savedDisk(params: URLSearchParams, answer: string): void {
    const host = this.#machines.get(params.get("InstanceId") ?? "")?.host;
    const image = /<imageId>([^<]+)</u.exec(answer)?.[1];
    if (host !== undefined && image !== undefined) this.#disks.set(image, host);
  }

  #created({ params, region }: SeenCall, answer: string): void {
    for (const { text } of itemsOf(answer, "instancesSet")) {
      const id = textOf(text, "instanceId") ?? "";
      const machine: Machine = {
        id,
        region,
        userData: params.get("UserData") ?? "",
        imageId: params.get("ImageId") ?? "",
        isTerminatedByPowerOff: params.get("InstanceInitiatedShutdownBehavior") === "terminate",
        isSpot: params.get("InstanceMarketOptions.MarketType") === "spot",
        host: undefined,
        addresses: [],
        isOn: false,
        work: Promise.resolve(),
      };
      this.#machines.set(id, machine);
      this.#turnOn(id);
    }
  }

  #turnOn(id: string): void {
    this.#do(id, async (machine) => {
      if (machine.host === undefined) await this.#build(machine);
      else if (!machine.host.isOn) await machine.host.boot();
      if (machine.host !== undefined) await installSudo(machine.host);
      // Who can reach it finds it ready.
      await this.#route(machine);
      machine.isOn = true;
    });
  }

  async #build(machine: Machine): Promise<void> {
    const config = readUserData(machine.userData);
    const host = await this.fleet.addHost({ name: machine.id, users: usersOf(config), egress: "open" });
    machine.host = host;
    if (machine.isSpot) await this.#serveMetadata(machine.id, host);
    const origin = this.#disks.get(machine.imageId);
    if (origin !== undefined) {
      const keys = "/home/ubuntu/.ssh/authorized_keys";
      const own = host.readFile(keys);
      host.copyFrom(origin, "/home/ubuntu");
      // As cloud-init does on a disk that it has seen before.
      host.writeFile(keys, host.readFile(keys) + own, { mode: 0o600 });
      await host.exec(["chown", "-R", "ubuntu:", "/home/ubuntu"]);
    }
    await applyUserData(host, config);
  }

  /** Lets the host find instance metadata where every instance has them. */
  async #serveMetadata(id: string, host: Host): Promise<void> {
    writeFileSync(this.#metadataFile(id), "{}");
    await host.exec(["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"]);
    const program = fileURLToPath(new URL("metadata-server.ts", import.meta.url));
    let said = "";
    const onOutput = (text: unknown): void => void (said += String(text));
    const argv = [process.execPath, program, this.#metadataFile(id)];
    void host.startBeside(argv, { onOutput, timeoutMs: RELAY_MS });
    await waitFor(`instance metadata of ${id}`, () => said.includes("ready"));
  }

  #metadataFile(id: string): string {
    return join(this.fleet.root, `metadata-${id}.json`);
  }

  /** Leads the instance's addresses, which change when it is started again, to its host. */
  async #route(machine: Machine): Promise<void> {
    const ec2 = this.moto.ec2(machine.region);
    const answer = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [machine.id] }));
    const instance = answer.Reservations?.[0]?.Instances?.[0];
    const { host } = machine;
    const others = [...this.#machines.values()].filter((each) => each !== machine);
    // Private networks of two regions overlap; a fleet is one network.
    const isFree = (address: string): boolean => !others.some((each) => each.addresses.includes(address));
    const both = [instance?.PrivateIpAddress, instance?.PublicIpAddress].filter((each) => each !== undefined);
    const wanted = both.filter(isFree);
    for (const address of machine.addresses) if (!wanted.includes(address)) await host?.removeAddress(address);
    for (const address of wanted) if (!machine.addresses.includes(address)) await host?.addAddress(address);
    machine.addresses = wanted;
  }

  #turnOff(id: string): void {
    this.#do(id, async (machine) => {
      machine.isOn = false;
      if (machine.host?.isOn === true) await machine.host.powerOff();
    });
  }

  #remove(id: string): void {
    this.#do(id, async (machine) => {
      machine.isOn = false;
      if (machine.host === undefined) return;
      for (const address of machine.addresses) await machine.host.removeAddress(address);
      // moto may give them to another machine.
      machine.addresses = [];
      await this.fleet.removeHost(machine.host);
      machine.host = undefined;
    });
  }

  #do(id: string, step: (machine: Machine) => Promise<void>): void {
    const machine = this.#machines.get(id);
    if (machine === undefined) return;
    machine.work = machine.work.then(() => step(machine)).catch((error: unknown) => void this.errors.push(error));
  }

  /** What a machine does to itself reaches AWS as it does there. */
  #watchPower(): void {
    for (const machine of this.#machines.values()) {
      if (!machine.isOn || machine.host === undefined || machine.host.isOn) continue;
      machine.isOn = false;
      this.#do(machine.id, () => this.#reportPowerOff(machine));
    }
  }

  async #reportPowerOff(machine: Machine): Promise<void> {
    const input = { InstanceIds: [machine.id] };
    this.proxy.world.reasons.set(machine.id, "Client.InstanceInitiatedShutdown");
    const entry = this.proxy.world.ledger.get(machine.id);
    if (entry !== undefined) {
      entry.state = machine.isTerminatedByPowerOff ? "terminated" : "stopped";
      entry.changedMs = Date.now();
    }
    const ec2 = this.moto.ec2(machine.region);
    if (!machine.isTerminatedByPowerOff) await ec2.send(new StopInstancesCommand(input));
    else {
      await ec2.send(new TerminateInstancesCommand(input));
      if (machine.host !== undefined) {
        for (const address of machine.addresses) await machine.host.removeAddress(address);
        await this.fleet.removeHost(machine.host);
      }
      machine.addresses = [];
      machine.host = undefined;
    }
  }
}
