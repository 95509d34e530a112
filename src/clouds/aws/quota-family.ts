/** How AWS groups types for its vCPU quotas, by the letters that a type's name begins with. */
const FAMILIES: readonly (readonly [string, RegExp])[] = [
  ["Standard (A, C, D, H, I, M, R, T, Z)", /^(?:a|c|d|h|i|im|is|m|r|t|z)$/],
  ["G and VT", /^(?:g|gr|vt)$/],
  ["P", /^p$/],
  ["Inf", /^inf$/],
  ["Trn", /^trn$/],
  ["DL", /^dl$/],
  ["F", /^f$/],
  ["X", /^x$/],
  ["HPC", /^hpc$/],
  ["High memory", /^u$/],
];

/** Types of one family share a quota in each region; undefined for a type that has one of its own. */
export function quotaFamilyOf(instanceType: string): string | undefined {
  const letters = /^[a-z]+/.exec(instanceType)?.[0] ?? "";
  return FAMILIES.find(([, pattern]) => pattern.test(letters))?.[0];
}
