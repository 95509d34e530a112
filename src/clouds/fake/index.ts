import { join } from "node:path";
import type { Cloud } from "../../core/ports/cloud.ts";
import { systemClock, type Clock } from "../../shared/clock.ts";
import { createFakeAdapter } from "./adapter.ts";
import { createLocalHosts } from "./hosts.ts";
import { DEFAULT_SETTINGS, readSettings } from "./settings.ts";
import { createFileStore } from "./state.ts";
import { settingsFile } from "./switch.ts";

export interface FakeCloudOptions {
  /** HOME of the server's user; the settings are in `~/.sky/fake.yaml`, nodes and state under `~/.sky/fake`. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  /** Time between SIGTERM and SIGKILL for what is left on a node. */
  readonly graceMs?: number;
}

/** A simulated provider with regions, zones, capacity, quotas, delays and failures, whose nodes run on this machine. */
export function createFakeCloud(options: FakeCloudOptions): Cloud {
  return createFakeAdapter({
    name: "fake",
    displayName: "Fake",
    store: createFileStore(join(options.home, ".sky", "fake")),
    hosts: createLocalHosts(options),
    clock: options.clock ?? systemClock,
    settings: () => readSettings(settingsFile(options.home)) ?? DEFAULT_SETTINGS,
    maxNameLength: 40,
    // Nobody's task shall come to be on it by chance.
    unnamedUse: "never",
  });
}
