/** The items directly below the first `<tag>` of an answer, each with its start and end. */
export function itemsOf(
  xml: string,
  tag: string,
): readonly { readonly from: number; readonly to: number; readonly text: string }[] {
  const open = xml.indexOf(`<${tag}>`);
  if (open === -1) return [];
  const items: { from: number; to: number; text: string }[] = [];
  const markers = /<item>|<\/item>|<item\/>/gu;
  markers.lastIndex = open;
  const close = closingOf(xml, tag, open);
  let depth = 0;
  let from = 0;
  for (let match = markers.exec(xml); match !== null && match.index < close; match = markers.exec(xml)) {
    if (match[0] === "<item>" && depth++ === 0) from = match.index;
    if (match[0] === "</item>" && --depth === 0) {
      const to = match.index + match[0].length;
      items.push({ from, to, text: xml.slice(from, to) });
    }
  }
  return items;
}

function closingOf(xml: string, tag: string, open: number): number {
  const end = xml.indexOf(`</${tag}>`, open);
  return end === -1 ? xml.length : end;
}

/** Rewrites or (for undefined) removes items. */
export function mapItems(xml: string, tag: string, change: (item: string) => string | undefined): string {
  let result = "";
  let at = 0;
  for (const { from, to, text } of itemsOf(xml, tag)) {
    result += xml.slice(at, from) + (change(text) ?? "");
    at = to;
  }
  return result + xml.slice(at);
}

export function textOf(xml: string, tag: string): string | undefined {
  return new RegExp(`<${tag}>([^<]*)</${tag}>`, "u").exec(xml)?.[1];
}
