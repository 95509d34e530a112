import { DescribeInstanceTypesCommand, type _InstanceType } from "@aws-sdk/client-ec2";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { withEc2, type Region } from "./region.ts";

const EFA_FAMILIES = [
  "g4dn.",
  "g5.",
  "g6.",
  "gr6.",
  "g6e.",
  "g7e.",
  "p4d.",
  "p4de.",
  "p5.",
  "p5e.",
  "p5en.",
  "p6-b200.",
  "p6-b300.",
];

/** How many network interfaces with EFA a node gets for `network_tier: best`; 0 for types without. */
export async function efaInterfaces(
  region: Region,
  instanceType: string,
  options: { readonly isInternal: boolean },
): Promise<number> {
  if (!EFA_FAMILIES.some((prefix) => instanceType.startsWith(prefix))) return 0;
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: [instanceType as _InstanceType] }), http),
  ).catch((error: unknown) => {
    if (!(error instanceof AwsDeniedError)) throw error;
    region.say(
      `EFA is not used: the credentials in use may not look up what ${instanceType} has (${error.denial.action}).`,
    );
    return { InstanceTypes: [] };
  });
  const most = answer.InstanceTypes?.[0]?.NetworkInfo?.EfaInfo?.MaximumEfaInterfaces ?? 0;
  if (most <= 1 || options.isInternal) return most;
  region.say(
    `${instanceType} has ${most} EFA interfaces, but nodes with a public address can use only 1. To use all of them, set aws.use_internal_ips: true.`,
  );
  return 1;
}
