import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { LinkOptions } from "./host-options.ts";
import { scriptPath, type World } from "./world.ts";

const PLUG_MS = 10_000;
const PAUSE_MS = 50;

interface Attachment {
  /** The world's end of the host's cable. */
  readonly interface: string;
  readonly hostPid: number;
}

/** The cable between a host and the bridge, and what impairs it. What is set outlives a reboot of the host. */
export class Link {
  readonly #world: World;
  #options: LinkOptions = {};
  #attachment: Attachment | undefined;
  #relay: ChildProcess | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async attach(attachment: Attachment): Promise<void> {
    this.#attachment = attachment;
    await this.#apply();
  }

  async set(options: LinkOptions): Promise<void> {
    this.#options = options;
    await this.#apply();
  }

  /** Pulls the plug of a host that is about to lose its power. */
  async cut(): Promise<void> {
    await this.#setPort("disabled");
  }

  async detach(): Promise<void> {
    this.#attachment = undefined;
    const relay = this.#relay;
    if (relay === undefined) return;
    this.#relay = undefined;
    const ended = once(relay, "exit");
    relay.stdin?.end();
    await ended;
  }

  async #apply(): Promise<void> {
    if (this.#attachment === undefined) return;
    const { delayMs, lossPercent, rateKbit, seed, isDown } = this.#options;
    if (this.#relay !== undefined || delayMs !== undefined || lossPercent !== undefined || rateKbit !== undefined) {
      this.#relay ??= this.#startRelay(this.#attachment);
      const said = once(this.#relay.stdout ?? this.#relay, "data");
      const ended = once(this.#relay, "exit").then(() => {
        throw new Error("The relay of a link ended.");
      });
      this.#relay.stdin?.write(`${JSON.stringify({ delayMs, lossPercent, rateKbit, seed })}\n`);
      await Promise.race([said, ended]);
      ended.catch(() => undefined);
    }
    await this.#setPort(isDown === true ? "disabled" : "forwarding");
  }

  #startRelay(attachment: Attachment): ChildProcess {
    const argv = ["python3", scriptPath("relay.py"), attachment.interface, `${attachment.interface}t`];
    const netns = `${this.#world.root}/proc/${attachment.hostPid}/ns/net`;
    const [command = "", ...rest] = this.#world.enter([...argv, netns]);
    return spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
  }

  async #setPort(state: "disabled" | "forwarding"): Promise<void> {
    if (this.#attachment === undefined) return;
    const port = this.#relay === undefined ? this.#attachment.interface : `${this.#attachment.interface}t`;
    const argv = ["bridge", "link", "set", "dev", port, "state", state === "disabled" ? "0" : "3"];
    // A busy kernel notices late that the host has plugged its end in, and refuses to forward until then.
    const deadline = Date.now() + PLUG_MS;
    for (;;) {
      const { exitCode, stderr } = await this.#world.run(argv);
      if (exitCode === 0) return;
      if (!stderr.includes("Network is down") || Date.now() > deadline)
        throw new Error(`${argv.join(" ")}: exit code ${exitCode}\n${stderr}`);
      await delay(PAUSE_MS);
    }
  }
}
