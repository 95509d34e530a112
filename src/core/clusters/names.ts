import { createHash } from "node:crypto";
import { InvalidClusterNameError } from "../../shared/errors.ts";

const VALID_NAME = "[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?";
const VALID = new RegExp(`^(?:${VALID_NAME})$`);
const DIGITS_OF_NAME = 2;

/** Throws InvalidClusterNameError. */
export function checkClusterName(name: string): void {
  if (VALID.test(name)) return;
  throw new InvalidClusterNameError(
    `Cluster name "${name}" is invalid; ensure it is fully matched by regex (e.g., only contains letters, numbers and dash): ${VALID_NAME}`,
    { hint: `For example: ${suggestName(name)}` },
  );
}

/** The closest name that is allowed. */
function suggestName(name: string): string {
  const inner = name
    .normalize("NFKD")
    .replace(/[^-_.a-zA-Z0-9]+/g, "-")
    .replace(/^[-_.]+|[-_.]+$/g, "");
  if (inner === "") return "mycluster";
  return /^[a-zA-Z]/.test(inner) ? inner : `c-${inner}`;
}

/**
 * The name that the cluster's resources carry: lower case, without `.` and `_`, with the owner's hash; shortened to `maxLength`
 * with two digits of the display name's hash, so that long names stay apart.
 */
export function nameOnCloud(displayName: string, userHash: string, maxLength: number): string {
  const base = displayName.replace(/[._]/g, "-").toLowerCase();
  const full = `${base}-${userHash}`;
  if (full.length <= maxLength) return full;
  const room = maxLength - DIGITS_OF_NAME - 1 - (userHash.length + 1);
  const digest = BigInt(`0x${createHash("md5").update(displayName).digest("hex")}`).toString(36);
  return `${base.slice(0, room).replace(/-+$/, "")}-${digest.slice(0, DIGITS_OF_NAME)}-${userHash}`;
}
