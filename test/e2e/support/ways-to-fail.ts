import type { WayToFail } from "./way-to-fail.ts";
import { incompleteSettings, nothingThere } from "./ways-to-fail-files.ts";
import { missingLogins, refusedKeys } from "./ways-to-fail-logins.ts";
import { brokenNetwork, machineCredentials } from "./ways-to-fail-machines.ts";

export const waysToFail: readonly WayToFail[] = [
  ...nothingThere,
  ...incompleteSettings,
  ...missingLogins,
  ...refusedKeys,
  ...machineCredentials,
  ...brokenNetwork,
];
