/** Credentials with less than this left are renewed before they are handed out, if that is possible. */
export const REFRESH_AHEAD_MS = 5 * 60_000;

/** With less than this left credentials count as expired: a call could reach AWS too late. */
export const DEAD_ZONE_MS = 30_000;
