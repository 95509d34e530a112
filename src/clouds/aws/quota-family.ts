/**
 * How AWS groups types for its vCPU quotas, by the letters that a type's name begins with, and the codes of the quotas: on demand,
 * spot. https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
 */
const FAMILIES: readonly (readonly [string, RegExp, onDemand: string, spot?: string])[] = [
  ["Standard (A, C, D, H, I, M, R, T, Z)", /^(?:a|c|d|h|i|im|is|m|r|t|z)$/, "L-1216C47A", "L-34B43A08"],
  ["G and VT", /^(?:g|gr|vt)$/, "L-DB2E81BA", "L-3819A6DF"],
  ["P", /^p$/, "L-417A185B", "L-7212CCBC"],
  ["Inf", /^inf$/, "L-1945791B", "L-B5D1601B"],
  ["Trn", /^trn$/, "L-2C3B7624", "L-6B0D517C"],
  ["DL", /^dl$/, "L-6E869C2A", "L-85EED4F7"],
  ["F", /^f$/, "L-74FC7D96", "L-88CF9481"],
  ["X", /^x$/, "L-7295265B", "L-E3A00192"],
  ["HPC", /^hpc$/, "L-F7808C92"],
  ["High memory", /^u$/, "L-43DA4232"],
];

function familyOf(instanceType: string): (typeof FAMILIES)[number] | undefined {
  const letters = /^[a-z]+/.exec(instanceType)?.[0] ?? "";
  return FAMILIES.find(([, pattern]) => pattern.test(letters));
}

/** Types of one family share a quota in each region; undefined for a type that has one of its own. */
export function quotaFamilyOf(instanceType: string): string | undefined {
  return familyOf(instanceType)?.[0];
}

/** Codes under which Service Quotas knows the quota, the first that a region knows counts; none where it is not known which one it is. */
export function quotaCodesOf(instanceType: string, useSpot: boolean): readonly string[] {
  const [, , onDemand, spot] = familyOf(instanceType) ?? [];
  if (!useSpot) return onDemand === undefined ? [] : [onDemand];
  // Of the P family the quota of old covers up to p4; p5 has one of its own where it was not merged into the old one.
  if (/^p5[a-z]*\./u.test(instanceType)) return ["L-C4BD4855", "L-7212CCBC"];
  if (/^p[6-9]/u.test(instanceType) || spot === undefined) return [];
  return [spot];
}
