/**
 * Parameters as SQLite takes them: what would be changed on the way without a word is refused.
 */
import { refusedParameter } from "../../error/parameter.js"
import { Fault, type Place, queryFault } from "./codes.js"

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n

const refuse = (place: Place, index: number, is: string, advice: string): Fault =>
  queryFault(place, {
    reason: "Parameter",
    outcome: "NotSent",
    ...refusedParameter(index, is),
    advice
  })

/** Small integers are the usual ones, and making a bigint takes as long as the rest of the check. */
const smallIntegers: ReadonlyArray<bigint> = Array.from({ length: 1024 }, (_, i) => BigInt(i))

/** Node 20 has `isWellFormed`; the ES2023 library of TypeScript does not know it yet. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

const convert = (place: Place, index: number, value: unknown): unknown => {
  if (typeof value === "boolean") {
    // As a bigint, for the reason that `bindable` gives.
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
 * The parameters as they may travel to the process that binds them. The array itself where nothing has to be converted.
 * Numbers stay numbers: they take the short way through JSON, which a bigint cannot.
 */
export const sendable = (place: Place, params: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  checked(place, params, false)

/**
 * The parameters to be bound. The array itself where nothing has to be converted.
 *
 * Whole numbers are bound as integers, as every other database takes them: better-sqlite3 binds each number as a REAL, so that 42
 * would be `42.0` in a column of text, and `7 / ?` with 2 would be 3.5. Beyond 2^53 a number does not say which integer is meant, and
 * -0 is no integer: both stay REAL.
 */
export const bindable = (place: Place, params: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  checked(place, params, true)

const checked = (place: Place, params: ReadonlyArray<unknown>, hasIntegers: boolean): ReadonlyArray<unknown> => {
  try {
    return check(place, params, hasIntegers)
  } catch (cause) {
    throw cause instanceof Fault ? cause : queryFault(place, {
      reason: "Parameter",
      outcome: "NotSent",
      what: "a parameter fails when it is read",
      advice: "convert it first"
    })
  }
}

const check = (place: Place, params: ReadonlyArray<unknown>, hasIntegers: boolean): ReadonlyArray<unknown> => {
  let converted: Array<unknown> | undefined
  for (let i = 0; i < params.length; i++) {
    const value = params[i]
    switch (typeof value) {
      case "number":
        if (value !== value) {
          throw refuse(place, i, "NaN", "SQLite would store NULL in its place: check the number, or write null")
        }
        if (hasIntegers && Number.isSafeInteger(value) && (value !== 0 || 1 / value > 0)) {
          converted ??= params.slice()
          converted[i] = (value >= 0 ? smallIntegers[value] : undefined) ?? BigInt(value)
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
