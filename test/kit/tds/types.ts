/**
 * The types of T-SQL and how their values stand in this server: as JavaScript values that SQLite stores without change.
 *
 * | types | value |
 * |---|---|
 * | bit, tinyint, smallint, int, bigint | `bigint` |
 * | real, float | `number` |
 * | decimal, money, smallmoney | digits as text, with exactly `scale` decimals |
 * | char, varchar, nchar, nvarchar | text |
 * | binary, varbinary | `Buffer` |
 * | uniqueidentifier | text, upper case |
 * | date | `YYYY-MM-DD` |
 * | time | `HH:MM:SS.fffffff` |
 * | datetime, datetime2 | `YYYY-MM-DDTHH:MM:SS.fffffff` |
 * | datetimeoffset | as datetime2 in UTC, then `+HH:MM` |
 */

const integers = ["bit", "tinyint", "smallint", "int", "bigint"] as const
const exact = ["decimal", "money", "smallmoney"] as const
const floats = ["real", "float"] as const
const unicode = ["nchar", "nvarchar"] as const
const strings = ["char", "varchar", ...unicode] as const
const binaries = ["binary", "varbinary"] as const
const scaled = ["time", "datetime2", "datetimeoffset"] as const
const temporal = ["date", "datetime", ...scaled] as const
const kinds = [...integers, ...exact, ...floats, ...strings, ...binaries, ...temporal, "uniqueidentifier"] as const

export type Kind = (typeof kinds)[number]

/** A type. `length` -1 is `max`; it counts characters for strings and bytes for binaries. */
export interface SqlType {
  readonly kind: Kind
  readonly length: number
  readonly precision: number
  readonly scale: number
}

export type Value = bigint | number | string | Buffer | null

/** An error that the server sends: number, severity (`class`) and state as SQL Server has them. */
export class TsqlError extends Error {
  override readonly name = "TsqlError"
  constructor(
    readonly number: number,
    message: string,
    readonly severity: number = 16,
    readonly state: number = 1,
    readonly line: number = 1
  ) {
    super(message)
  }
}

/** What this server does not know: a number that SQL Server never sends, and a message that says what refuses. */
export const unsupported = (what: string, line = 1): TsqlError =>
  new TsqlError(49_000, `the test server does not know ${what}`, 16, 1, line)

const make = (kind: Kind, length = 0, precision = 0, scale = 0): SqlType => ({ kind, length, precision, scale })

export const bit = make("bit")
export const tinyint = make("tinyint")
export const smallint = make("smallint")
export const int = make("int")
export const bigint = make("bigint")
export const real = make("real")
export const float = make("float")
export const money = make("money", 0, 19, 4)
export const smallmoney = make("smallmoney", 0, 10, 4)
export const uniqueidentifier = make("uniqueidentifier")
export const date = make("date")
export const datetime = make("datetime", 0, 0, 3)
export const decimal = (precision: number, scale: number): SqlType => make("decimal", 0, precision, scale)
export const nvarchar = (length: number): SqlType => make("nvarchar", length)
export const varchar = (length: number): SqlType => make("varchar", length)
export const varbinary = (length: number): SqlType => make("varbinary", length)
export const time = (scale: number): SqlType => make("time", 0, 0, scale)
export const datetime2 = (scale: number): SqlType => make("datetime2", 0, 0, scale)
export const datetimeoffset = (scale: number): SqlType => make("datetimeoffset", 0, 0, scale)

const oneOf = (all: ReadonlyArray<Kind>) => (type: SqlType): boolean => all.includes(type.kind)
export const isInteger = oneOf(integers)
export const isExact = oneOf(exact)
export const isFloat = oneOf(floats)
export const isNumeric = oneOf([...integers, ...exact, ...floats])
export const isUnicode = oneOf(unicode)
export const isString = oneOf(strings)
export const isBinary = oneOf(binaries)
export const isTemporal = oneOf(temporal)
const isScaled = oneOf(scaled)

/** The type as T-SQL writes it. */
export const typeText = (type: SqlType): string =>
  isString(type) || isBinary(type)
    ? `${type.kind}(${type.length === -1 ? "max" : type.length})`
    : type.kind === "decimal"
    ? `decimal(${type.precision},${type.scale})`
    : isScaled(type)
    ? `${type.kind}(${type.scale})`
    : type.kind

/** A type from its name and what stands in parentheses. `declared`: a column or variable, whose length is 1 by default; else 30. */
export const makeType = (name: string, args: ReadonlyArray<number>, declared: boolean, line = 1): SqlType => {
  const lower = name.toLowerCase()
  if (lower === "sysname") return nvarchar(128)
  const kind = kinds.find((one) => one === (lower === "numeric" ? "decimal" : lower === "integer" ? "int" : lower))
  if (kind === undefined) {
    throw new TsqlError(2715, `Column, parameter, or variable: Cannot find data type ${name}.`, 16, 6, line)
  }
  const [first, second] = args
  if (kind === "decimal") return decimal(first ?? 18, second ?? 0)
  const type = kind === "money"
    ? money
    : kind === "smallmoney"
    ? smallmoney
    : kind === "datetime"
    ? datetime
    : make(kind)
  if (isScaled(type)) return { ...type, scale: first ?? 7 }
  return isString(type) || isBinary(type) ? { ...type, length: first ?? (declared ? 1 : 30) } : type
}

const typePattern = /^\s*([a-z]\w*)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$/i

/** The type that a text names, such as `nvarchar(max)`. */
export const parseTypeText = (text: string): SqlType => {
  const match = typePattern.exec(text)
  if (match === null) throw new TsqlError(102, `Incorrect syntax near '${text.trim()}'.`, 15)
  const args = match.slice(2).filter((one) => one !== undefined).map((one) => /max/i.test(one) ? -1 : Number(one))
  return makeType(match[1]!, args, true)
}
