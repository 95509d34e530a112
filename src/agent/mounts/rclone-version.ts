/** As `rclone version` has it, e.g. `[1, 75]`. */
export type RcloneVersion = readonly [number, number];

export function isAtLeast([major, minor]: RcloneVersion, wantedMajor: number, wantedMinor: number): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
