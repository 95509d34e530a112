import type { Catalogs } from "../catalog/catalogs.ts";
import type { Cloud, CloudRegistry } from "../core/ports/cloud.ts";
import { isFakeCloudOn } from "./fake/switch.ts";

export interface CloudOptions {
  /** HOME of the server's user. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly catalogs: Catalogs;
  /** Path of the agent's program. */
  readonly agentBundle: string;
  /** How other programs call this package's `sky`; the one in PATH when absent. */
  readonly skyProgram?: readonly string[];
}

/** Every cloud by its registry key; the only place that names them. */
const clouds = {
  aws: (options) => import("./aws/index.ts").then((m) => m.createAwsCloud(options)),
  cloudflare: (options) => import("./cloudflare/index.ts").then((m) => m.createCloudflareCloud(options)),
  fake: (options) => import("./fake/index.ts").then((m) => m.createFakeCloud(options)),
  gcp: (options) => import("./gcp/index.ts").then((m) => m.createGcpCloud(options)),
  local: (options) => import("./local/index.ts").then((m) => m.createLocalCloud(options)),
  ssh: (options) => import("./ssh/index.ts").then((m) => m.createSshCloud(options)),
} as const satisfies Record<string, (options: CloudOptions) => Promise<Cloud>>;

/** Finds clouds by name and loads their code on first use. */
export function createCloudRegistry(options: CloudOptions): CloudRegistry {
  const loaded = new Map<string, Promise<Cloud>>();
  const loaders: Readonly<Record<string, (options: CloudOptions) => Promise<Cloud>>> = clouds;
  return {
    // A simulated cloud shows up only for those who ask for it; what runs on it can be reached all the same.
    names: () => Object.keys(clouds).filter((name) => name !== "fake" || isFakeCloudOn(options.home)),
    optIn: { fake: "touch ~/.sky/fake.yaml" },
    load: (name) => {
      const loader = Object.hasOwn(loaders, name) ? loaders[name] : undefined;
      if (loader === undefined) return Promise.reject(new Error(`No cloud is registered as ${name}.`));
      const cloud = loaded.get(name) ?? loader(options);
      loaded.set(name, cloud);
      // What failed once, e.g. at an unreadable file, is tried again at the next use.
      cloud.catch(() => loaded.delete(name));
      return cloud;
    },
  };
}
