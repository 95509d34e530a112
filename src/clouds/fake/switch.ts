import { existsSync } from "node:fs";
import { join } from "node:path";

/** The settings of the fake cloud, which also turn it on. */
export function settingsFile(home: string): string {
  return join(home, ".sky", "fake.yaml");
}

/** The cloud is on when its settings file is there, which may be empty. */
export function isFakeCloudOn(home: string): boolean {
  return existsSync(settingsFile(home));
}
