import type { Instance as Ec2Instance } from "@aws-sdk/client-ec2";
import type { CloudCommand } from "../../../core/ports/cloud.ts";
import { ClusterDoesNotExistError, InvalidValueError } from "../../../shared/errors.ts";
import { findInstances } from "../nodes/inventory.ts";
import type { RegionOpener } from "../nodes/open-region.ts";
import type { SsmWay } from "./way.ts";

/**
 * What `sky aws ssm-proxy` asks before it goes to the door. Arguments: `cluster` (name on the cloud), `region`, `target` (an instance of it, by
 * id or address). Answers with the instance's id and the door's path.
 */
export function ssmDoorCommand(way: SsmWay, opener: RegionOpener): CloudCommand {
  return {
    run: async ({ cluster, region, target }, context) => {
      const place = { cluster: textOf(cluster, "cluster"), region: textOf(region, "region") };
      const wanted = textOf(target, "target");
      const found = await findInstances(await opener.open(place.region, context), [place.cluster]);
      const instance = found.find((each) => isMeant(each, wanted))?.InstanceId;
      if (instance === undefined) {
        throw new ClusterDoesNotExistError(
          `The cluster ${place.cluster} has no running node ${wanted} in ${place.region}.`,
          {
            hint: "Addresses change when a cluster is started again; sky status brings `ssh <cluster>` up to date.",
          },
        );
      }
      return { instance, region: place.region, door: await way.openDoor(instance, context) };
    },
  };
}

function isMeant({ InstanceId, PrivateIpAddress, PublicIpAddress, State }: Ec2Instance, wanted: string): boolean {
  return State?.Name === "running" && [InstanceId, PrivateIpAddress, PublicIpAddress].includes(wanted);
}

function textOf(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new InvalidValueError(`'${name}' must be a text.`);
}
