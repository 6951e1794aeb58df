/**
 * Rows of an insert that have the same keys in one order, and plain values: nearly always, and told in one pass.
 */

/** Whether `for (key in ...)` finds more than an object's own keys. */
const hasEnumerable = (prototype: object | null): boolean => {
  for (const _ in prototype) {
    return true
  }
  return false
}

/** The keys of the first row, `undefined` where those of the others have to be looked at one by one. */
export const keysOf = (first: unknown): ReadonlyArray<string> | undefined => {
  if (typeof first !== "object" || first === null || Array.isArray(first)) {
    return undefined
  }
  const keys = Object.keys(first)
  return keys.length === 0 || keys.some((key) => key in Object.prototype) || hasEnumerable(Object.getPrototypeOf(first))
    ? undefined
    : keys
}

/**
 * Whether all rows have these keys, which {@link keysOf} gave, and no piece of SQL as a value.
 *
 * @param values is given the values, from `at` on; null for `undefined`, as a compiler has it
 */
export const areUniform = (
  rows: ReadonlyArray<unknown>,
  keys: ReadonlyArray<string>,
  isPiece: (value: object) => boolean,
  values?: Array<unknown>,
  at = 0
): boolean => {
  const prototype: object | null = Object.getPrototypeOf(rows[0])
  for (const row of rows) {
    if (typeof row !== "object" || row === null || Object.getPrototypeOf(row) !== prototype) {
      return false
    }
    let i = 0
    // No array of keys for each row: thousands of rows are usual. The prototype has no key that this would add.
    for (const key in row) {
      const value = (row as Readonly<Record<string, unknown>>)[key]
      if (key !== keys[i++] || (typeof value === "object" && value !== null && isPiece(value))) {
        return false
      }
      if (values !== undefined) {
        values[at++] = value === undefined ? null : value
      }
    }
    if (i !== keys.length) {
      return false
    }
  }
  return true
}
