/**
 * Values on their way to SQL Server. What the way would change without a word is refused.
 */
import * as Statement from "@effect/sql/Statement"
import * as Redacted from "effect/Redacted"
import * as Tedious from "tedious"
import type { DataType, ParameterData } from "tedious/lib/data-type.js"
import type { ParameterOptions } from "tedious/lib/request.js"
import { JsonNumber } from "../JsonNumber.js"
import * as JsonText from "../JsonText.js"
import { Moment } from "./moment.js"
import { dateTime2, dateTimeOffset, exactType, float } from "./types.js"

const { TYPES } = Tedious

/** Why a parameter is not sent. Never holds its value. */
export class Refused {
  constructor(readonly index: number, readonly what: string, readonly advice: string) {}
}

/** A parameter as tedious takes it. */
export interface Parameter {
  readonly name: string
  readonly type: DataType
  readonly value: unknown
  readonly options: ParameterOptions
  /** A NULL whose type was not named: `nvarchar` turns into every type but binary. */
  readonly untyped?: true
  /** The caller named its type: whether the value has a form in it is not known yet. */
  readonly named?: true
}

/**
 * The most parameters of one statement. The server takes 2,100 with one call, and `sp_executesql` has two of its own.
 */
export const mostParameters = 2098

/** The most parameters of a statement that is prepared: `sp_prepexec` has three of its own. */
export const mostPreparedParameters = 2097

/** The NULL for a binary column. */
export const binaryNull = (name: string): Parameter => ({
  name,
  type: TYPES.VarBinary,
  value: null,
  options: binaryOptions
})

/** What `param` of `MssqlClient` makes. */
interface TypedParameter extends Statement.Custom<"MssqlParam", DataType, unknown, ParameterOptions> {}
const isTyped = Statement.isCustom<TypedParameter>("MssqlParam")

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n
const minInt32 = -(2 ** 31)
const maxInt32 = 2 ** 31 - 1

/** Above these a value goes as `(max)`; below, always with the same length, so that one plan serves all lengths. */
const longestText = 4000
const longestBinary = 8000

/** Of the same length at all times, for the reason above. */
const textOptions: ParameterOptions = { length: longestText }
const longTextOptions: ParameterOptions = { length: longestText + 1 }
const binaryOptions: ParameterOptions = { length: longestBinary }
const longBinaryOptions: ParameterOptions = { length: longestBinary + 1 }
const none: ParameterOptions = {}

/** Node 20 has `isWellFormed`; the ES2023 library of TypeScript does not know it yet. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

const text = (name: string, value: string): Parameter => ({
  name,
  type: TYPES.NVarChar,
  value,
  options: value.length > longestText ? longTextOptions : textOptions
})

const binary = (name: string, value: Buffer): Parameter => ({
  name,
  type: TYPES.VarBinary,
  value,
  options: value.length > longestBinary ? longBinaryOptions : binaryOptions
})

const encodeDate = (name: string, value: Date, index: number): Parameter | Refused => {
  const year = value.getUTCFullYear()
  if (Number.isNaN(year)) return new Refused(index, "an invalid Date", "check the date before it is written")
  if (year < 1 || year > 9999) {
    return new Refused(index, "a Date outside of the years 0001 to 9999", "store it as text or as a number")
  }
  const type = value instanceof Moment && value.offset !== undefined ? dateTimeOffset : dateTime2
  return { name, type, value, options: none }
}

/** A value whose type the caller has named. */
const encodeTyped = (name: string, typed: TypedParameter, index: number): Parameter | Refused => {
  const given = typed.i1
  if (given === undefined) return new Refused(index, "undefined", "use null for a missing value")
  if (typeof given === "string" && !isWellFormed(given)) {
    return new Refused(index, "text with half of a surrogate pair", "correct the text")
  }
  const isBytes = ArrayBuffer.isView(given) && !Buffer.isBuffer(given)
  return {
    name,
    type: exactType(typed.i0),
    value: isBytes ? Buffer.from(given.buffer, given.byteOffset, given.byteLength) : given,
    options: typed.i2 ?? none,
    named: true
  }
}

/** A plain object, an array, or what has `toJSON`. */
const encodeJson = (name: string, value: object, index: number): Parameter | Refused => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (
    !Array.isArray(value) && prototype !== Object.prototype && prototype !== null &&
    typeof (value as { readonly toJSON?: unknown }).toJSON !== "function"
  ) {
    return new Refused(index, "an object that is neither plain nor has toJSON", "convert it first")
  }
  let lossy: string | undefined
  try {
    const json = JsonText.stringify(value, (item) => {
      if (typeof item === "number" && !Number.isFinite(item)) lossy = "NaN or an infinity"
      if (typeof item === "symbol" || typeof item === "function") lossy = `a ${typeof item}`
    })
    if (lossy === undefined && json !== undefined) return text(name, json)
  } catch (error) {
    // Told apart by type: a cycle is what JSON.stringify itself throws for.
    lossy = error instanceof TypeError ? "a cycle" : "what its toJSON refuses"
  }
  return new Refused(index, `an object that JSON cannot hold: there is ${lossy ?? "nothing"} in it`, "convert it first")
}

const encodeObject = (name: string, value: object, index: number): Parameter | Refused => {
  if (value instanceof Date) return encodeDate(name, value, index)
  if (Buffer.isBuffer(value)) return binary(name, value)
  if (ArrayBuffer.isView(value)) return binary(name, Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  if (value instanceof ArrayBuffer) return binary(name, Buffer.from(value))
  if (value instanceof JsonNumber) return text(name, value.digits)
  if (Redacted.isRedacted(value)) {
    return new Refused(index, "a Redacted", "unwrap it with Redacted.value where the secret itself is to be stored")
  }
  if (isTyped(value)) return encodeTyped(name, value, index)
  return encodeJson(name, value, index)
}

const encodeOne = (name: string, value: unknown, index: number): Parameter | Refused => {
  switch (typeof value) {
    case "string":
      return isWellFormed(value)
        ? text(name, value)
        : new Refused(index, "text with half of a surrogate pair", "correct the text")
    case "number":
      // Integers as such, because TOP and OFFSET take nothing else. -0 is no integer: it would come back as 0.
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
        return value >= minInt32 && value <= maxInt32
          ? { name, type: TYPES.Int, value, options: none }
          : { name, type: TYPES.BigInt, value: BigInt(value), options: none }
      }
      if (Number.isFinite(value)) return { name, type: float, value, options: none }
      return new Refused(
        index,
        Number.isNaN(value) ? "NaN" : "an infinity",
        "SQL Server has no such number: write null or text"
      )
    case "bigint":
      if (value >= minInt64 && value <= maxInt64) return { name, type: TYPES.BigInt, value, options: none }
      return new Refused(index, "a bigint beyond 64 bits", "write it as text, which the server converts to decimal")
    case "boolean":
      return { name, type: TYPES.Bit, value, options: none }
    case "object":
      if (value === null) return { name, type: TYPES.NVarChar, value, options: textOptions, untyped: true }
      return encodeObject(name, value, index)
    case "undefined":
      return new Refused(index, "undefined", "use null for a missing value")
    default:
      return new Refused(index, `a ${typeof value}`, "SQL Server has no such value: convert it first")
  }
}

/** Text in a code page, in which `?` stands for whatever has no place there. */
const isCut = (text: unknown, bytes: unknown): boolean =>
  typeof text === "string" && Buffer.isBuffer(bytes) &&
  bytes.filter((byte) => byte === 0x3f).length > text.split("?").length - 1

/** What tedious asks of a connection when it makes bytes: dates are in UTC here, and the server speaks TDS 7.4. */
const wireOptions = { useUTC: true, tdsVersion: "7_4" } as Parameters<DataType["generateTypeInfo"]>[1]

/**
 * Makes the bytes of a parameter, as tedious would, and forgets them. tedious makes them while it sends, and what it cannot make ends a
 * message whose beginning the server has.
 */
const rehearse = (
  { name, options, type }: Parameter,
  value: unknown,
  collation: Parameters<DataType["validate"]>[1]
): void => {
  const parameter = { type, name, value, output: false, ...options } as Parameters<DataType["declaration"]>[0]
  type.declaration(parameter)
  const length = (type.id & 0x30) === 0x20 ? options.length || type.resolveLength?.(parameter) : undefined
  const precision = options.precision || type.resolvePrecision?.(parameter)
  const scale = options.scale || type.resolveScale?.(parameter)
  const data: ParameterData = {
    value,
    ...(length === undefined ? {} : { length }),
    ...(precision === undefined ? {} : { precision }),
    ...(scale === undefined ? {} : { scale }),
    ...(collation === undefined ? {} : { collation })
  }
  type.generateTypeInfo(data, wireOptions)
  type.generateParameterLength(data, wireOptions)
  for (const _ of type.generateParameterData(data, wireOptions));
}

/** Parameters named `1`, `2`, ... as tedious is to send them, or why one of them is refused. */
export const encode = (
  params: ReadonlyArray<unknown>,
  collation: Parameters<DataType["validate"]>[1]
): ReadonlyArray<Parameter> | Refused => {
  const encoded = new Array<Parameter>(params.length)
  for (let i = 0; i < params.length; i++) {
    let one: ReturnType<typeof encodeOne>
    try {
      one = encodeOne(String(i + 1), params[i], i)
    } catch {
      return new Refused(i, "a value that fails when it is read", "convert it first")
    }
    if (one instanceof Refused) return one
    try {
      // Once here, where a fault is a typed error; tedious does it again, and would not say which parameter it is.
      const value = one.type.validate(one.value, collation)
      if (isCut(one.value, value)) {
        return new Refused(i, "text that the database's code page cannot hold", "send it as NVarChar")
      }
      if (one.named === true) rehearse(one, value, collation)
      encoded[i] = one
    } catch {
      return new Refused(i, `no value of the type ${one.type.name}`, "check its range and form")
    }
  }
  return encoded
}

/** The declaration that belongs to a text with these parameters: `@1 int, @2 nvarchar(4000)`. */
export const declarationOf = (parameters: ReadonlyArray<Parameter>): string =>
  parameters.map(({ name, options, type, value }) =>
    `@${name} ${
      type.declaration({ type, name, value, output: false, ...options } as Parameters<DataType["declaration"]>[0])
    }`
  ).join(", ")
