/** Tables with rules of dashes: three spaces between columns, one before the first. Colour codes take no room. */
export function renderRuled(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => plain(row[column] ?? "").length)),
  );
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width + 3, 1));
  const line = (row: readonly string[]): string =>
    ` ${row.map((cell, column) => `${cell}${" ".repeat(Math.max(0, (widths[column] ?? 0) - plain(cell).length))}   `).join("")}`;
  return [rule, line(header), rule, ...rows.map(line), rule];
}

function plain(cell: string): string {
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed
  return cell.replace(/\u001b\[[0-9;]*m/g, "");
}

/** At most one decimal, none for whole numbers. */
export function formatAmount(amount: number): string {
  return String(Math.round(amount * 10) / 10);
}
