import { join } from "node:path";
import { zoneNamesFile } from "../../../catalog/zone-names.ts";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import type { AwsClients } from "../clients.ts";

/** A zone as the account and as AWS call it. */
export interface ZoneName {
  readonly name: string;
  readonly id: string;
}

/** The region of a zone that goes by an account's name for it, such as `us-east-1a`; undefined for ids. */
export function regionOfZone(name: string): string | undefined {
  return /^(.+-\d+)[a-z]$/u.exec(name)?.[1];
}

/** Regions that the account has enabled. */
export async function listRegions(clients: AwsClients, signal: AbortSignal): Promise<readonly string[]> {
  const { DescribeRegionsCommand } = await import("@aws-sdk/client-ec2");
  const answer = await (await clients.ec2()).send(new DescribeRegionsCommand({}), { abortSignal: signal });
  return (answer.Regions ?? []).flatMap(({ RegionName }) => RegionName ?? []).sort();
}

/** The availability zones of a region, by default the clients'. */
export async function listZones(
  region: string | undefined,
  clients: AwsClients,
  signal: AbortSignal,
): Promise<readonly ZoneName[]> {
  const { DescribeAvailabilityZonesCommand } = await import("@aws-sdk/client-ec2");
  const client = await clients.ec2(region);
  const answer = await client.send(new DescribeAvailabilityZonesCommand({}), { abortSignal: signal });
  // Local and wavelength zones sell few types and are left out.
  return (answer.AvailabilityZones ?? []).flatMap(({ ZoneName: name, ZoneId: id, ZoneType: type }) =>
    name === undefined || id === undefined || (type !== undefined && type !== "availability-zone")
      ? []
      : [{ name, id }],
  );
}

/** Notes how an account calls the zones. `directory` is `~/.sky/catalogs/v8`. */
export function writeZoneNames(directory: string, account: string, zones: readonly ZoneName[]): void {
  const rows = zones.map(({ name, id }) => `${name},${id}`).sort();
  const text = `${["AvailabilityZoneName,AvailabilityZone", ...rows].join("\n")}\n`;
  writeFileAtomic(join(directory, "aws", zoneNamesFile(account)), text);
}
