/** `7h32m`, `12m`, `45s`; `0s` for what is over. */
export function renderTimeLeft(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m` : `${seconds}s`;
}
