/**
 * Parameters as SQLite takes them: what would be changed on the way without a word is refused.
 */
import { type Fault, type Place, queryFault } from "./codes.js"

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n

const refuse = (place: Place, index: number, what: string, advice: string): Fault =>
  queryFault(place, {
    reason: "Parameter",
    outcome: "NotSent",
    what: `parameter ${index + 1} is ${what}`,
    advice
  })

/** Node 20 has `isWellFormed`; the ES2023 library of TypeScript does not know it yet. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

const convert = (place: Place, index: number, value: unknown): unknown => {
  if (typeof value === "boolean") {
    // As a bigint: better-sqlite3 binds every number as a REAL, and true would be written as 1.0 into an untyped column.
    return value ? 1n : 0n
  }
  if (value instanceof Uint8Array) {
    return value
  }
  if (value instanceof ArrayBuffer) {
    return new Uint8Array(value)
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) {
      throw refuse(place, index, "an invalid Date", "check the date before it is written")
    }
    return value.toISOString()
  }
  throw refuse(
    place,
    index,
    value === undefined
      ? "undefined"
      : Array.isArray(value)
      ? "an array"
      : `of a type that SQLite does not have (${typeof value})`,
    value === undefined
      ? "use null for a missing value"
      : "convert it to text, a number, a bigint, a blob or null first"
  )
}

/**
 * The parameters to be bound. The array itself where nothing has to be converted.
 */
export const bindable = (place: Place, params: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  let converted: Array<unknown> | undefined
  for (let i = 0; i < params.length; i++) {
    const value = params[i]
    switch (typeof value) {
      case "number":
        if (value !== value) {
          throw refuse(place, i, "NaN", "SQLite would store NULL in its place: check the number, or write null")
        }
        continue
      case "string":
        if (!isWellFormed(value)) {
          throw refuse(place, i, "text with half of a surrogate pair", "it has no form in UTF-8: correct the text")
        }
        continue
      case "bigint":
        if (value > maxInt64 || value < minInt64) {
          throw refuse(place, i, "a bigint beyond 64 bits", "store it as text")
        }
        continue
      case "object":
        if (value === null) {
          continue
        }
    }
    converted ??= params.slice()
    converted[i] = convert(place, i, value)
  }
  return converted ?? params
}
