/**
 * `${name}` in migrations, and where a place in the replaced text was in the file.
 */

/** A text with its placeholders replaced. */
export interface Replaced {
  readonly text: string
  /** Turns an index into `text` into the index of the original. Inside a value it gives the placeholder's beginning. */
  readonly original: (index: number) => number
}

const pattern = /\$\{([^{}$\r\n]+)\}/g

const identity = (index: number): number => index

/**
 * Replaces every `${name}`. Fails with the name and the index of the first one without a value; `names` that differ
 * only in case are the same, as Flyway has it.
 */
export const replace = (
  text: string,
  values: Readonly<Record<string, string>>
): Replaced | { readonly missing: string; readonly index: number } => {
  if (!text.includes("${")) {
    return { text, original: identity }
  }
  const byName = new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
  // [index in the result, index in the original, length in the result] of each value put in.
  const cuts: Array<readonly [number, number, number, number]> = []
  let result = ""
  let last = 0
  for (const match of text.matchAll(pattern)) {
    const value = byName.get(match[1]!.toLowerCase())
    if (value === undefined) {
      return { missing: match[1]!, index: match.index }
    }
    result += text.slice(last, match.index)
    cuts.push([result.length, match.index, value.length, match[0].length])
    result += value
    last = match.index + match[0].length
  }
  result += text.slice(last)
  return {
    text: result,
    original: (index) => {
      let shift = 0
      for (const [at, origin, valueLength, nameLength] of cuts) {
        if (index < at) {
          break
        }
        if (index < at + valueLength) {
          return origin
        }
        shift = origin + nameLength - (at + valueLength)
      }
      return index + shift
    }
  }
}

/**
 * Replaces what has a value and leaves the rest: for checksums of repeatable migrations, which change with their
 * values as in Flyway.
 */
export const replaceKnown = (text: string, values: Readonly<Record<string, string>>): string => {
  const byName = new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
  return text.replace(pattern, (whole, name: string) => byName.get(name.toLowerCase()) ?? whole)
}
