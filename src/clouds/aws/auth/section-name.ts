/**
 * Splits a section name into words as a POSIX shell does: `profile "my team"` has two. Undefined when a quote is left open or
 * the last character is a lone backslash.
 */
export function splitWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (/\s/u.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
      continue;
    }
    const piece = readPiece(text, at);
    if (piece === undefined) return undefined;
    word = (word ?? "") + piece.text;
    at = piece.end;
  }
  if (word !== undefined) words.push(word);
  return words;
}

interface Piece {
  readonly text: string;
  readonly end: number;
}

function readPiece(text: string, at: number): Piece | undefined {
  const char = text.charAt(at);
  if (char === "'") {
    const close = text.indexOf("'", at + 1);
    return close < 0 ? undefined : { text: text.slice(at + 1, close), end: close + 1 };
  }
  if (char === '"') return readDoubleQuoted(text, at + 1);
  if (char !== "\\") return { text: char, end: at + 1 };
  return at + 1 < text.length ? { text: text.charAt(at + 1), end: at + 2 } : undefined;
}

function readDoubleQuoted(text: string, start: number): Piece | undefined {
  let result = "";
  for (let at = start; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === '"') return { text: result, end: at + 1 };
    const next = text.charAt(at + 1);
    if (char === "\\" && (next === '"' || next === "\\")) {
      result += next;
      at += 1;
    } else {
      result += char;
    }
  }
  return undefined;
}
