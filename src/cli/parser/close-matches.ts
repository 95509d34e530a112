/**
 * Similarity of two strings as Python's difflib computes it (twice the matching characters over the total length), because the
 * suggestions of usage errors are part of compatibility.
 */
export function similarity(a: string, b: string): number {
  const total = a.length + b.length;
  return total === 0 ? 1 : (2 * matchingCharacters(a, b)) / total;
}

function matchingCharacters(a: string, b: string): number {
  if (a.length === 0 || b.length === 0) return 0;
  const block = longestMatch(a, b);
  if (block.size === 0) return 0;
  return (
    block.size +
    matchingCharacters(a.slice(0, block.a), b.slice(0, block.b)) +
    matchingCharacters(a.slice(block.a + block.size), b.slice(block.b + block.size))
  );
}

/** The longest common substring; the earliest in `a`, then in `b`, wins a tie. */
function longestMatch(a: string, b: string): { a: number; b: number; size: number } {
  let best = { a: 0, b: 0, size: 0 };
  let previous: number[] = [];
  for (let i = 0; i < a.length; i += 1) {
    const current: number[] = [];
    for (let j = 0; j < b.length; j += 1) {
      if (a[i] !== b[j]) continue;
      const size = (previous[j - 1] ?? 0) + 1;
      current[j] = size;
      if (size > best.size) best = { a: i - size + 1, b: j - size + 1, size };
    }
    previous = current;
  }
  return best;
}

/** The at most three candidates most like `word` (similarity ≥ 0.6), best first. */
export function closeMatches(word: string, candidates: readonly string[]): readonly string[] {
  return candidates
    .map((candidate) => ({ candidate, score: similarity(candidate, word) }))
    .filter((match) => match.score >= 0.6)
    .sort((x, y) => y.score - x.score || (x.candidate < y.candidate ? 1 : -1))
    .slice(0, 3)
    .map((match) => match.candidate);
}
