/** `$12.30`; four decimals below a cent, so that it never looks like nothing. */
export function dollars(usd: number): string {
  const decimals = usd !== 0 && Math.abs(usd) < 0.01 ? 4 : 2;
  return `$${usd.toFixed(decimals)}`;
}

/** `$0.42/hr`. */
export function hourly(usd: number): string {
  return `${dollars(usd)}/hr`;
}
