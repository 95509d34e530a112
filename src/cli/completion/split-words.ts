/** One piece of a word: quoted, escaped or plain text. An open quote ends with the line. */
const PIECE = /'([^']*)'?|"((?:\\[^]|[^"\\])*)"?|\\([^])|([^\s'"\\]+)|(\\)$/y;

/** Splits a command line as a shell does. */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < line.length) {
    PIECE.lastIndex = at;
    const match = PIECE.exec(line);
    if (match === null) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
      continue;
    }
    const [piece, single, double, escaped, plain, last] = match;
    word = (word ?? "") + (single ?? double?.replace(/\\([^])/g, "$1") ?? escaped ?? plain ?? last ?? "");
    at += piece.length;
  }
  return word === undefined ? words : [...words, word];
}
