/** `$0.42/hr`; four decimals below a cent, so that it is never nothing. */
export function hourly(usd: number): string {
  return `${dollars(usd)}/hr`;
}

/** `$12.30`; four decimals below a cent. */
export function dollars(usd: number): string {
  const decimals = usd !== 0 && Math.abs(usd) < 0.01 ? 4 : 2;
  return `$${usd.toFixed(decimals)}`;
}
