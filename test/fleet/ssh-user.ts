import { copyFileSync, chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fleet } from "./fleet.ts";
import type { Host } from "./host.ts";

interface SshUserOptions {
  /** HOME of the one who uses the hosts. */
  readonly home: string;
  readonly hosts: readonly Host[];
  /** Whether the hosts' keys are known already; default true. */
  readonly isKnown?: boolean;
}

/** Lines of an ssh config by which each host is reached by its name, as its first user. */
export function sshConfig(hosts: readonly Host[], identityFile: string): string {
  return hosts
    .map(({ name, address, sshPort, users }) =>
      [
        `Host ${name}`,
        `  HostName ${address}`,
        `  Port ${sshPort}`,
        `  User ${users[0]?.name ?? "root"}`,
        `  IdentityFile ${identityFile}`,
        "  IdentitiesOnly yes",
        "",
      ].join("\n"),
    )
    .join("");
}

/** Lines of known_hosts for hosts, under name and address. */
export function knownHosts(hosts: readonly Host[]): string {
  return hosts
    .map((host) => {
      const address = host.sshPort === 22 ? host.address : `[${host.address}]:${host.sshPort}`;
      return `${host.name},${address} ${host.hostKey()}\n`;
    })
    .join("");
}

/**
 * Gives somebody's ~/.ssh the fleet's key, a config with the hosts' names and, unless told otherwise, their host keys. OpenSSH takes
 * the home directory from the account, not from HOME: inside the fleet's world the account's becomes this one.
 */
export async function installSshUser(fleet: Fleet, options: SshUserOptions): Promise<void> {
  const directory = join(options.home, ".ssh");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const identity = join(directory, "id_ed25519");
  copyFileSync(fleet.keyFile, identity);
  chmodSync(identity, 0o600);
  copyFileSync(`${fleet.keyFile}.pub`, `${identity}.pub`);
  writeFileSync(join(directory, "config"), sshConfig(options.hosts, identity), { mode: 0o600 });
  if (options.isKnown !== false)
    writeFileSync(join(directory, "known_hosts"), knownHosts(options.hosts), { mode: 0o600 });
  await fleet.world.setHome(options.home);
}
