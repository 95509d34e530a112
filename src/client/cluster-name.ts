import { loadCrypto } from "../platform/random.ts";
import { InvalidClusterNameError } from "../shared/errors.ts";

const VALID = /^[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$/;

/** Makes up a name: `sky-<4 hex digits>-<user>`. */
export function makeClusterName(user: string): string {
  const cleaned = user.toLowerCase().replace(/[^a-z0-9-]/g, "");
  const suffix = cleaned.replace(/^-+|-+$/g, "");
  return `sky-${loadCrypto().randomBytes(2).toString("hex")}${suffix === "" ? "" : `-${suffix}`}`;
}

/** Throws when no cluster may have that name. */
export function assertClusterName(name: string): void {
  if (VALID.test(name)) return;
  throw new InvalidClusterNameError(
    `Cluster name "${name}" is invalid; ensure it is fully matched by regex (e.g., only contains letters, numbers and dash): [a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?`,
    { hint: "choose another name with -c" },
  );
}
