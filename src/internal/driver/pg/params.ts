/**
 * The parameters of a request, as they are sent.
 *
 * @since 0.1.0
 */
import type { Types } from "./types.js"
import { encode, encodeArray } from "./values.js"
import type { Encoded } from "./writer.js"

/**
 * What stands in the way of sending a parameter, and which one it is, from 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault {
  readonly cause: unknown
  readonly at: number
}

/**
 * The encoded parameters of a request. What an array becomes depends on the type that the server expects.
 *
 * @since 0.1.0
 * @category models
 */
export class Params {
  constructor(
    readonly encoded: Array<Encoded>,
    private readonly given: ReadonlyArray<unknown>,
    readonly hasArrays: boolean
  ) {}

  /** More than `pg` can read the types of: it takes their number for a signed one. */
  get areMany(): boolean {
    return this.encoded.length > 32767
  }

  /** Encodes the arrays for the types that are expected. Gives what stands in the way, and where. */
  fit(types: ReadonlyArray<number> | undefined, known: Types): Fault | undefined {
    if (!this.hasArrays || types === undefined) return undefined
    for (let at = 0; at < this.given.length; at++) {
      const value = this.given[at]
      if (!Array.isArray(value)) continue
      try {
        this.encoded[at] = encodeArray(value, types[at], known.delimiter(types[at]))
      } catch (cause) {
        return { cause, at }
      }
    }
    return undefined
  }
}

/**
 * Encodes parameters, or says which of them cannot be sent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const encodeAll = (given: ReadonlyArray<unknown>): Params | Fault => {
  const encoded = new Array<Encoded>(given.length)
  let hasArrays = false
  let at = 0
  try {
    for (; at < given.length; at++) {
      const param = given[at]
      encoded[at] = encode(param)
      hasArrays ||= typeof param === "object" && Array.isArray(param)
    }
    return new Params(encoded, given, hasArrays)
  } catch (cause) {
    return { cause, at }
  }
}
