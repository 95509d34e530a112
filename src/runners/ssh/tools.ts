import { createHash } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../../shared/clock.ts";
import { RuntimeSource } from "../runtime/source.ts";
import { SshConnections } from "./connections.ts";
import type { InstallTools } from "./install.ts";

export type SshTools = InstallTools;

const NPM_REGISTRY = "https://registry.npmjs.org/";

/** What an adapter needs to reach machines by SSH; one for each adapter. `home` is that of the server's user. */
export function createSshTools(options: {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}): SshTools {
  const { home, env } = options;
  const uid = process.getuid?.() ?? 0;
  // The path of a socket is limited, and a home may be long.
  const name = createHash("sha256").update(home).digest("hex").slice(0, 8);
  const registry = env["npm_config_registry"] ?? NPM_REGISTRY;
  return {
    connections: new SshConnections({
      controlDir: `/tmp/sky-ssh-${uid}-${name}`,
      env,
      clock: systemClock,
      random: Math.random,
    }),
    runtimes: new RuntimeSource({
      cacheDir: join(home, ".sky", "ts", "runtimes"),
      registry: registry.endsWith("/") ? registry : `${registry}/`,
    }),
  };
}
