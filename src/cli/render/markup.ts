const CODES: Readonly<Record<string, string>> = {
  bold: "1",
  dim: "2",
  italic: "3",
  red: "31",
  green: "32",
  yellow: "33",
  blue: "34",
  cyan: "36",
};

/** Turns the markup of spinner messages (`[bold cyan]Launching[/]`) into terminal codes, or drops it. */
export function renderMarkup(text: string, enabled: boolean): string {
  const open: string[] = [];
  const rendered = text.replace(
    /\\\[|\[(\/?)([a-z ]*)\]/g,
    (tag, slash: string | undefined, names: string | undefined) => {
      if (tag === "\\[") return "[";
      if (slash === "/") {
        open.pop();
        return enabled ? `\u001B[0m${open.join("")}` : "";
      }
      const words = (names ?? "").split(" ").filter((word) => word !== "");
      const codes = words.map((word) => CODES[word]);
      if (codes.length === 0 || codes.includes(undefined)) return tag;
      const code = `\u001B[${codes.join(";")}m`;
      open.push(code);
      return enabled ? code : "";
    },
  );
  return enabled && open.length > 0 ? `${rendered}\u001B[0m` : rendered;
}
