/**
 * What JavaScript values are sent as, and what PostgreSQL's values are read as.
 */
import * as Redacted from "effect/Redacted"
import { isAnyArrayBuffer, isDate, isMap, isPromise, isRegExp, isSet, isWeakMap, isWeakSet } from "node:util/types"
import { JsonNumber } from "../JsonNumber.js"
import * as JsonText from "../JsonText.js"
import * as PgArray from "./array.js"
import * as Interval from "./interval.js"
import { Json } from "./json.js"
import * as Timestamp from "./timestamp.js"
import type { Encoded } from "./writer.js"

/** A parameter that cannot be sent without changing it. Says which kind of value it is, never the value. */
export class Unsendable extends Error {
  constructor(readonly kind: string) {
    super(kind)
  }
}

const refuse = (kind: string): never => {
  throw new Unsendable(kind)
}

// `isWellFormed` is in Node 20, not yet in the ES2023 library types.
interface WellFormed {
  isWellFormed(): boolean
}

const isWellFormed = (text: string): boolean => (text as unknown as WellFormed).isWellFormed()

const encodeText = (text: string): string => {
  if (text.includes("\0")) return refuse("text with a NUL character, which PostgreSQL cannot store")
  if (!isWellFormed(text)) return refuse("text with a lone surrogate, which UTF-8 cannot express")
  return text
}

const encodeNumber = (value: number): string => value === 0 && 1 / value < 0 ? "-0" : String(value)

const encodeDate = (date: Date): string =>
  Number.isNaN(date.getTime()) ? refuse("an invalid Date") : Timestamp.format(date)

/** `JSON.stringify` writes NaN and the infinities as null without a word. */
const hasUnwritableNumber = (value: unknown): boolean =>
  typeof value === "number"
    ? !Number.isFinite(value)
    : typeof value === "object" && value !== null && !("toJSON" in value) &&
      Object.values(value).some(hasUnwritableNumber)

const encodeJson = (value: unknown): string => {
  let text: string | undefined
  try {
    text = JsonText.stringify(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : ""
    return refuse(reason.includes("circular") ? "a circular structure" : "a value that fails to become JSON")
  }
  if (text === undefined) return refuse(`JSON of ${typeof value}`)
  if (text.includes("null") && hasUnwritableNumber(value)) return refuse("JSON with a NaN or an infinity in it")
  return text
}

const bytesOf = (value: object): Uint8Array | undefined =>
  value instanceof Uint8Array
    ? value
    : ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : isAnyArrayBuffer(value)
    ? new Uint8Array(value)
    : undefined

const collection = (value: object): string | undefined =>
  isMap(value) || isWeakMap(value)
    ? "a Map"
    : isSet(value) || isWeakSet(value)
    ? "a Set"
    : isPromise(value)
    ? "a Promise"
    : isRegExp(value)
    ? "a RegExp"
    : Redacted.isRedacted(value)
    ? "a Redacted value; take its value out first"
    : undefined

const encodeElement = (item: unknown): string | null => {
  const encoded = encode(item)
  return encoded === null || typeof encoded === "string" ? encoded : `\\x${Buffer.from(encoded).toString("hex")}`
}

const encodeObject = (value: object): Encoded => {
  if (isDate(value)) return encodeDate(value)
  const bytes = bytesOf(value)
  if (bytes !== undefined) return bytes
  if (Array.isArray(value)) return PgArray.format(value, encodeElement)
  if (value instanceof Json) return encodeJson(value.value)
  if (value instanceof JsonNumber) return value.digits
  // `pg` asks such objects (its own intervals among them) how they want to be sent.
  if ("toPostgres" in value && typeof value.toPostgres === "function") return encode(value.toPostgres(encode))
  const kind = collection(value)
  return kind === undefined ? encodeJson(value) : refuse(kind)
}

/** Encodes one parameter. Throws {@link Unsendable} for what cannot be sent. */
export const encode = (value: unknown): Encoded => {
  switch (typeof value) {
    case "string":
      return encodeText(value)
    case "number":
      return encodeNumber(value)
    case "object":
      return value === null ? null : encodeObject(value)
    case "boolean":
      return value ? "true" : "false"
    case "bigint":
      return value.toString()
    default:
      return refuse(typeof value)
  }
}

const jsonTypes: ReadonlySet<number> = new Set([114, 3802])
const jsonArrayTypes: ReadonlySet<number> = new Set([199, 3807])

/**
 * Encodes an array for a parameter whose type the server has told: JSON for `json` and `jsonb`, an array literal of
 * JSON for their arrays, else as {@link encode} does. Without the type, `[]` would reach a `jsonb` as `{}`.
 */
export const encodeArray = (value: ReadonlyArray<unknown>, oid: number | undefined, delimiter = ","): Encoded =>
  oid !== undefined && jsonTypes.has(oid)
    ? encodeJson(value)
    : oid !== undefined && jsonArrayTypes.has(oid)
    ? PgArray.format(value, (item) => item === null ? null : encodeJson(item instanceof Json ? item.value : item))
    : PgArray.format(value, encodeElement, delimiter)

/** Reads the text of a value that is not NULL. */
export interface Decode {
  (text: string): unknown
}

/** What stands in the way of sending a parameter, and which one it is, from 0. */
export interface Fault {
  readonly cause: unknown
  readonly at: number
}

/** What stands between the elements of an array of a type. */
interface Delimiters {
  readonly delimiter: (oid: number | undefined) => string
}

/** The encoded parameters of a request. What an array becomes depends on the type that the server expects. */
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
  fit(types: ReadonlyArray<number> | undefined, known: Delimiters): Fault | undefined {
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

/** Lists of null, by their length. */
const blanks: Array<Array<Encoded>> = []

/** A list to be filled. A copy where it is short, because V8 soon makes in its old space what is made at one place by `new Array`. */
const blank = (length: number): Array<Encoded> =>
  length > 32 ? new Array<Encoded>(length) : (blanks[length] ??= new Array<Encoded>(length).fill(null)).slice()

/** Encodes parameters, or says which of them cannot be sent. */
export const encodeAll = (given: ReadonlyArray<unknown>): Params | Fault => {
  const encoded = blank(given.length)
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

export const asText: Decode = (text) => text
export const asBoolean: Decode = (text) => text === "t"
export const asNumber: Decode = Number
const asBigint: Decode = BigInt
const arrayOf = (element: Decode): Decode => (text) => PgArray.parse(text, element)

/** Types read otherwise, or faster, than `pg` reads them. */
const decoders = new Map<number, Decode>([
  [16, asBoolean],
  [20, asText], // int8
  [21, asNumber],
  [23, asNumber],
  [25, asText], // text
  [26, asNumber], // oid
  [700, asNumber],
  [701, asNumber],
  [1042, asText], // char(n)
  [1043, asText], // varchar
  [1700, asText], // numeric
  [2950, asText], // uuid
  [1082, Timestamp.parse], // date
  [1114, Timestamp.parse], // timestamp
  [1184, Timestamp.parse], // timestamptz
  [1186, Interval.parse], // interval
  [1000, arrayOf(asBoolean)],
  [1005, arrayOf(asNumber)], // int2[]
  [1007, arrayOf(asNumber)], // int4[]
  [1009, arrayOf(asText)], // text[]
  [1015, arrayOf(asText)], // varchar[]
  [1016, arrayOf(asText)], // int8[]
  [1021, arrayOf(asNumber)], // float4[]
  [1022, arrayOf(asNumber)], // float8[]
  [1231, arrayOf(asText)], // numeric[]
  [1182, arrayOf(Timestamp.parse)], // date[]
  [1115, arrayOf(Timestamp.parse)], // timestamp[]
  [1185, arrayOf(Timestamp.parse)], // timestamptz[]
  [1187, arrayOf(Interval.parse)], // interval[]
  [2951, arrayOf(asText)] // uuid[]
])

const bigints = new Map<number, Decode>([
  [20, asBigint],
  [1016, arrayOf(asBigint)]
])

/**
 * How a type is read that is read otherwise, or faster, than `pg` reads it. `safeIntegers`: `int8` as `bigint` instead of as a
 * string.
 *
 * @param chosen the program's own parser of the type
 */
export const decoderOf = (oid: number, safeIntegers: boolean, chosen?: Decode): Decode | undefined =>
  (safeIntegers ? bigints.get(oid) : undefined) ?? chosen ?? decoders.get(oid)
