import { withoutControls } from "./plain.ts";
import { encodeText } from "./byte-stream.ts";

const HEAD = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>Request log</title><style>
body{background:#fff;color:#222;font:13px/1.5 monospace;margin:1em}pre{white-space:pre-wrap}
@media(prefers-color-scheme:dark){body{background:#16181d;color:#ddd}}</style></head><body><pre>`;
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;

/** A page that shows a log as it comes; control lines and colours are left out, everything else is escaped. */
export async function* toHtml(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield encodeText(HEAD);
  const decoder = new TextDecoder();
  for await (const chunk of withoutControls(chunks))
    yield encodeText(escapeHtml(decoder.decode(chunk, { stream: true })));
  yield encodeText(`${escapeHtml(decoder.decode())}</pre></body></html>\n`);
}

function escapeHtml(text: string): string {
  return text.replace(ANSI, "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
