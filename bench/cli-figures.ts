/** How a figure is judged: against a bound, or against the original by a factor. */
export type Target =
  | { readonly kind: "at-most" | "at-least"; readonly value: number }
  | { readonly kind: "times-faster" | "times-fewer" | "times-more"; readonly factor: number };

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly target: Target;
  readonly ours: number | undefined;
  /** Undefined where the original cannot do it. */
  readonly original: number | undefined;
  readonly note?: string;
}

/** A figure with a bound that stands for itself. */
export function atMost(what: string, unit: string, value: number, ours: number | undefined): Figure {
  return { what, unit, target: { kind: "at-most", value }, ours, original: undefined };
}

/** The same, where more is better. */
export function atLeast(what: string, unit: string, value: number, ours: number | undefined): Figure {
  return { what, unit, target: { kind: "at-least", value }, ours, original: undefined };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** How many times better than the original: faster (less) or more. */
export function ratioOf(figure: Figure): number | undefined {
  const { ours, original, target } = figure;
  if (ours === undefined || original === undefined || ours === 0 || original === 0) return undefined;
  const isLessBetter = target.kind === "at-most" || target.kind === "times-faster" || target.kind === "times-fewer";
  return isLessBetter ? original / ours : ours / original;
}

/** Whether the target is reached; undefined when one of the numbers it needs is missing. */
export function isReached(figure: Figure): boolean | undefined {
  const { ours, target } = figure;
  if (ours === undefined) return undefined;
  if ("value" in target) return target.kind === "at-most" ? ours <= target.value : ours >= target.value;
  const ratio = ratioOf(figure);
  return ratio === undefined ? undefined : ratio >= target.factor;
}

function formatNumber(value: number | undefined, unit: string): string {
  if (value === undefined) return "–";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: value >= 100 ? 0 : digits })} ${unit}`;
}

function formatTarget({ target, unit }: Figure): string {
  switch (target.kind) {
    case "at-most":
      return `≤ ${formatNumber(target.value, unit)}`;
    case "at-least":
      return `≥ ${formatNumber(target.value, unit)}`;
    case "times-faster":
      return `≥ ${target.factor}× faster`;
    case "times-fewer":
      return `≥ ${target.factor}× fewer`;
    case "times-more":
      return `≥ ${target.factor}×`;
  }
}

function formatVerdict(figure: Figure): string {
  const reached = isReached(figure);
  if (reached === undefined) return "not measured";
  return reached ? "reached" : "**missed**";
}

/** The table of one run, as Markdown. */
export function renderFigures(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const ratio = ratioOf(figure);
    const cells = [
      figure.what,
      formatTarget(figure),
      formatNumber(figure.ours, figure.unit),
      formatNumber(figure.original, figure.unit),
      ratio === undefined ? "–" : `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)}×`,
      formatVerdict(figure),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| what | target | ours | original 0.14.1 | ratio | verdict |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
