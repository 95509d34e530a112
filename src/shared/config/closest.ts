/** The closest known word, measured as Python's difflib measures it (Ratcliff/Obershelp), so that suggestions are the same. */

/** Similarity of two texts, 0 to 1: twice the matching characters over all characters. The order of the arguments can matter. */
export function similarity(a: string, b: string): number {
  const total = a.length + b.length;
  return total === 0 ? 1 : (2 * matching(a, b)) / total;
}

function matching(a: string, b: string): number {
  const block = longestCommonBlock(a, b);
  if (block.size === 0) return 0;
  return (
    block.size +
    matching(a.slice(0, block.a), b.slice(0, block.b)) +
    matching(a.slice(block.a + block.size), b.slice(block.b + block.size))
  );
}

/** The longest common block; among equals the earliest in `a`, then the earliest in `b`. */
function longestCommonBlock(a: string, b: string): { readonly a: number; readonly b: number; readonly size: number } {
  let best = { a: 0, b: 0, size: 0 };
  let previous = new Uint32Array(b.length + 1);
  for (let i = 0; i < a.length; i += 1) {
    const current = new Uint32Array(b.length + 1);
    for (let j = 0; j < b.length; j += 1) {
      if (a[i] !== b[j]) continue;
      const size = (previous[j] ?? 0) + 1;
      current[j + 1] = size;
      if (size > best.size) best = { a: i - size + 1, b: j - size + 1, size };
    }
    previous = current;
  }
  return best;
}

/** Longer words are no typing errors, and comparing them is quadratic. */
const MAX_WORD = 200;

/** The known word most similar to `word`, if any reaches a similarity of 0.6; among equals the alphabetically last. */
export function closestWord(word: string, known: Iterable<string>): string | undefined {
  return closeWords(word, known, 1)[0];
}

/** Up to `count` words with a similarity of at least 0.6, the most similar first. */
export function closeWords(word: string, known: Iterable<string>, count: number): readonly string[] {
  if (word.length > MAX_WORD) return [];
  return [...known]
    .map((candidate) => ({ candidate, score: similarity(candidate, word) }))
    .filter(({ score }) => score >= 0.6)
    .sort((a, b) => b.score - a.score || (a.candidate < b.candidate ? 1 : -1))
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
