/** A page of the documentation as one shell script: its `bash` blocks, and its blocks with `file=…` written to that file. */
export function scriptOfPage(markdown: string): string {
  const parts = ["set -euo pipefail"];
  for (const [, language, file, body] of markdown.matchAll(/^```(\w+)(?: file=(\S+))?\n([\s\S]*?)^```$/gmu)) {
    if (file !== undefined) parts.push(writeFile(file, body ?? ""));
    else if (language === "bash") parts.push((body ?? "").trimEnd());
  }
  return `${parts.join("\n")}\n`;
}

function writeFile(file: string, body: string): string {
  const path = file.replace(/^~/u, "$HOME");
  return `mkdir -p "$(dirname "${path}")"\ncat > "${path}" <<'END_OF_FILE'\n${body}END_OF_FILE`;
}

/** The commands of a page, one each line of its `bash` blocks. */
export function commandsOfPage(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```bash\n([\s\S]*?)^```$/gmu)];
  return blocks.flatMap(([, body]) => (body ?? "").split("\n").filter((line) => line.trim() !== ""));
}
