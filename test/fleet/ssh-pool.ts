import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "../e2e/support/sandbox.ts";
import { Fleet } from "./fleet.ts";
import type { HostOptions } from "./host-options.ts";
import type { Host } from "./host.ts";
import { installSshUser } from "./ssh-user.ts";

/** A fleet whose hosts are the node pool `rack` of a sandbox's user. */
export interface SshPool {
  readonly fleet: Fleet;
  readonly sandbox: Sandbox;
  readonly hosts: readonly Host[];
  dispose(): Promise<void>;
}

/** Makes the hosts, and a user whose `~/.sky/ssh_node_pools.yaml` lists them; the server is not started. */
export async function createSshPool(hosts: readonly HostOptions[]): Promise<SshPool> {
  const fleet = await Fleet.create();
  try {
    const made = await fleet.addHosts(hosts);
    const sandbox = await Sandbox.create(fleet);
    await installSshUser(fleet, { home: sandbox.home, hosts: made });
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    const lines = ["rack:", "  hosts:", ...made.map(({ name }) => `    - ${name}`), ""];
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), lines.join("\n"));
    return { fleet, sandbox, hosts: made, dispose: () => fleet.dispose() };
  } catch (error) {
    await fleet.dispose();
    throw error;
  }
}
