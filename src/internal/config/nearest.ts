/**
 * The known word that comes nearest to a mistyped one.
 */

/** How many letters have to be put in, taken out or changed (Levenshtein), or swapped with their neighbour. */
export const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2]! + 1)
      }
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/** The word of `known` that `word` was probably meant to be: a third of its letters may be wrong, at most three. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  const limit = Math.min(3, Math.floor(word.length / 3))
  let found: string | undefined
  let least = limit + 1
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) < least) {
      const steps = distance(word, candidate)
      if (steps < least) {
        least = steps
        found = candidate
      }
    }
  }
  return found
}
