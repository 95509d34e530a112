import type { HostUser } from "../../fleet/host-options.ts";
import type { Host } from "../../fleet/host.ts";

interface CloudConfig {
  readonly users: readonly {
    readonly name: string;
    readonly shell: string;
    readonly ssh_authorized_keys: readonly string[];
  }[];
  readonly write_files: readonly { readonly path: string; readonly content: string; readonly permissions?: string }[];
  readonly bootcmd: readonly (string | readonly string[])[];
  readonly runcmd?: readonly (string | readonly string[])[];
}

/** Reads user data as cloud-init does; JSON is YAML. Throws for what is no cloud-config. */
export function readUserData(base64: string): CloudConfig {
  const [first = "", ...rest] = Buffer.from(base64, "base64").toString("utf8").split("\n");
  if (first !== "#cloud-config") throw new Error(`User data begins with ${JSON.stringify(first)}.`);
  return JSON.parse(rest.join("\n")) as CloudConfig;
}

/** The accounts that the user data asks for. */
export function usersOf(config: CloudConfig): readonly HostUser[] {
  return config.users.map(({ name, shell, ssh_authorized_keys }) => ({
    name,
    shell,
    authorizedKeys: ssh_authorized_keys,
  }));
}

/** Does the rest of it, in cloud-init's order. Hosts have no systemd, so its commands are passed over. */
export async function applyUserData(host: Host, config: CloudConfig): Promise<void> {
  for (const command of config.bootcmd) {
    const words = [command].flat();
    // Hosts are new machines, so that once and once for each of them come to the same.
    const argv = words[0] === "cloud-init-per" ? words.slice(3) : words;
    const script = argv.includes("systemd-run") ? argv.at(-1) : undefined;
    if (script !== undefined) void host.start(["sh", "-c", script]);
    else if (argv[0] !== "systemctl") await host.exec(typeof command === "string" ? ["sh", "-c", command] : argv);
  }
  for (const { path, content, permissions } of config.write_files) {
    host.writeFile(path, content, permissions === undefined ? {} : { mode: Number.parseInt(permissions, 8) });
  }
  for (const command of config.runcmd ?? []) {
    await host.exec(typeof command === "string" ? ["sh", "-c", command] : command);
  }
}
