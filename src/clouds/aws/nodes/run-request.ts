import { createHash } from "node:crypto";
import type {
  InstanceNetworkInterfaceSpecification,
  RunInstancesCommandInput,
  _InstanceType,
} from "@aws-sdk/client-ec2";
import { rootDisk, type DiskWish } from "./disk.ts";
import type { NodeImage } from "./images.ts";
import type { NodeSubnet } from "./network.ts";
import { creationTags, type TagWish } from "./node-tags.ts";
import type { NodeProfile } from "./role.ts";

/** Nodes of one cluster that are created by one call. */
export interface NodeBatch {
  readonly indices: readonly number[];
  /** Capacity that is paid for already. */
  readonly reservation?: { readonly id: string; readonly isBlock: boolean };
}

/** Everything that is the same for all nodes of a launch. */
export interface NodeForm {
  readonly instanceType: string;
  readonly image: NodeImage;
  readonly disk: DiskWish;
  readonly profile: NodeProfile;
  readonly userData: string;
  readonly useSpot: boolean;
  readonly isInternal: boolean;
  /** Network interfaces with EFA; 0 = none. */
  readonly efaInterfaces: number;
  readonly onPowerOff: "stop" | "terminate";
  readonly tags: TagWish;
  /** Holds the nodes close together. */
  readonly placementGroup?: string;
}

export interface RunPlace {
  readonly subnet: NodeSubnet;
  readonly groupId: string;
  /** Whether volumes get tags; some accounts do not allow it. */
  readonly tagsVolumes: boolean;
}

/** The launch of a batch. The same token, batch and place give the same client token, hence at most one launch. */
export function runRequest(form: NodeForm, batch: NodeBatch, place: RunPlace, token: string): RunInstancesCommandInput {
  const count = batch.indices.length;
  const tags = creationTags(form.tags, batch.indices);
  return {
    ClientToken: clientToken(token, batch, { ...place, group: form.placementGroup }),
    MinCount: count,
    MaxCount: count,
    ImageId: form.image.id,
    InstanceType: form.instanceType as _InstanceType,
    BlockDeviceMappings: [rootDisk(form.disk, form.image)],
    NetworkInterfaces: interfaces(form, place),
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 2, HttpEndpoint: "enabled" },
    // A spot request of one time knows no stop.
    InstanceInitiatedShutdownBehavior: form.useSpot ? "terminate" : form.onPowerOff,
    UserData: Buffer.from(form.userData).toString("base64"),
    TagSpecifications: place.tagsVolumes ? [tags.instance, tags.volume] : [tags.instance],
    ...(form.profile === undefined ? {} : { IamInstanceProfile: form.profile }),
    ...(form.placementGroup === undefined ? {} : { Placement: { GroupName: form.placementGroup } }),
    ...market(form, batch),
  };
}

function market(
  form: NodeForm,
  { reservation }: NodeBatch,
): Pick<RunInstancesCommandInput, "CapacityReservationSpecification" | "InstanceMarketOptions"> {
  if (reservation !== undefined) {
    const target = { CapacityReservationTarget: { CapacityReservationId: reservation.id } };
    return {
      CapacityReservationSpecification: target,
      ...(reservation.isBlock ? { InstanceMarketOptions: { MarketType: "capacity-block" } } : {}),
    };
  }
  // No highest price: 0.14.1 bids none either, and the on-demand price is AWS's own limit.
  if (form.useSpot) return { InstanceMarketOptions: { MarketType: "spot" } };
  return { CapacityReservationSpecification: { CapacityReservationPreference: "open" } };
}

/** On these types every fourth EFA card also carries IP traffic. */
const FOUR_CARDS = new Set(["p5.48xlarge", "p5e.48xlarge"]);

function interfaces(form: NodeForm, place: RunPlace): InstanceNetworkInterfaceSpecification[] {
  const base = { SubnetId: place.subnet.id, Groups: [place.groupId] };
  const first: InstanceNetworkInterfaceSpecification = {
    ...base,
    DeviceIndex: 0,
    AssociatePublicIpAddress: !form.isInternal,
    InterfaceType: form.efaInterfaces > 0 ? "efa" : "interface",
  };
  const more = Array.from({ length: Math.max(0, form.efaInterfaces - 1) }, (_, index) => ({
    ...base,
    DeviceIndex: 1,
    NetworkCardIndex: index + 1,
    InterfaceType: FOUR_CARDS.has(form.instanceType) && (index + 1) % 4 === 0 ? "efa" : "efa-only",
  }));
  return [first, ...more];
}

/** EC2 takes up to 64 characters, and compares them per zone. */
function clientToken(
  token: string,
  batch: NodeBatch,
  place: RunPlace & { readonly group: string | undefined },
): string {
  const parts = [
    token,
    place.subnet.id,
    place.tagsVolumes ? "" : "no volume tags",
    batch.indices.join(","),
    batch.reservation?.id ?? "",
    ...(place.group === undefined ? [] : [place.group]),
  ];
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}
