import type { CallerIdentity } from "./sts.ts";

/**
 * Who may act on what the identity owns: `[user or role, account]`. The id of an assumed role is `AROA…:<session>`; the session's
 * name changes from call to call and is dropped.
 */
export function stableIdentity(identity: CallerIdentity): readonly [string, string] {
  return [identity.userId.split(":")[0] ?? identity.userId, identity.account];
}

/** As `sky check` shows it: `AROAXXXX:user [account=123456789012]`. */
export function renderIdentity(identity: CallerIdentity): string {
  return `${identity.userId} [account=${identity.account}]`;
}
