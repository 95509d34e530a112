/** A placement problem in which cost and time look the same. */

/** A total of two parts, of which the first decides and the second breaks ties. */
export type Total = readonly [number, number];

/** An option that may be part of a best plan. */
export interface Choice {
  readonly place: string;
  readonly total: Total;
  /** Position in the task's options. */
  readonly option: number;
}

export interface ReducedProblem {
  readonly tasks: readonly (readonly Choice[])[];
  readonly edges: readonly {
    readonly from: number;
    readonly to: number;
    readonly move: (a: string, b: string) => Total;
  }[];
}

export function addTotals(a: Total, b: Total): Total {
  return [a[0] + b[0], a[1] + b[1]];
}

/** Negative when `a` is better. */
export function compareTotals(a: Total, b: Total): number {
  return a[0] - b[0] || a[1] - b[1];
}
