/** Output as a person reads it: no colours and cursor movements, no spinner frames, no padding at line ends. */
export function plainText(output: string): string {
  return output
    .replaceAll(/\u{1b}\[[0-9;?]*[A-Za-z]/gu, "")
    .replaceAll(/[ \t]+$/gmu, "")
    .replaceAll("\r\n", "\n");
}

/** The rows of the first table in the output whose heading starts with `firstColumn`, each as column → cell. */
export function parseTable(output: string, firstColumn: string): Record<string, string>[] {
  const lines = plainText(output).split("\n");
  const start = lines.findIndex((line) => line.startsWith(`${firstColumn} `));
  if (start < 0) throw new Error(`There is no table with the column ${firstColumn} in:\n${output}`);
  const columns = [...(lines[start] ?? "").matchAll(/\S+(?: \S+)*/gu)].map((match) => ({
    name: match[0],
    from: match.index,
  }));
  const rows: Record<string, string>[] = [];
  for (const line of lines.slice(start + 1)) {
    if (line.trim() === "") break;
    const cells = columns.map(({ name, from }, index) => [name, line.slice(from, columns[index + 1]?.from).trim()]);
    rows.push(Object.fromEntries(cells));
  }
  return rows;
}
