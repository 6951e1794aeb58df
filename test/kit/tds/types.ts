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
 * | datetime, smalldatetime, datetime2 | `YYYY-MM-DDTHH:MM:SS.fffffff` |
 * | datetimeoffset | as datetime2 in UTC, then `+HH:MM` |
 *
 * Exports: `SqlType`, `Value`, `TsqlError`, `typeText`, `parseTypeText`, and the constructors of types.
 */

export type Kind =
  | "bit"
  | "tinyint"
  | "smallint"
  | "int"
  | "bigint"
  | "real"
  | "float"
  | "decimal"
  | "money"
  | "smallmoney"
  | "char"
  | "varchar"
  | "nchar"
  | "nvarchar"
  | "binary"
  | "varbinary"
  | "uniqueidentifier"
  | "date"
  | "time"
  | "datetime"
  | "smalldatetime"
  | "datetime2"
  | "datetimeoffset"

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

/**
 * What this server does not know. It must be seen, so it has a number that SQL Server never sends, and a message that
 * says who refuses.
 */
export const unsupported = (what: string, line = 1): TsqlError =>
  new TsqlError(49_000, `the test server does not know ${what}`, 16, 1, line)

const simple = (kind: Kind): SqlType => ({ kind, length: 0, precision: 0, scale: 0 })

export const bit = simple("bit")
export const tinyint = simple("tinyint")
export const smallint = simple("smallint")
export const int = simple("int")
export const bigint = simple("bigint")
export const real = simple("real")
export const float = simple("float")
export const money: SqlType = { kind: "money", length: 0, precision: 19, scale: 4 }
export const smallmoney: SqlType = { kind: "smallmoney", length: 0, precision: 10, scale: 4 }
export const uniqueidentifier = simple("uniqueidentifier")
export const date = simple("date")
export const datetime: SqlType = { kind: "datetime", length: 0, precision: 0, scale: 3 }
export const smalldatetime = simple("smalldatetime")
export const decimal = (precision: number, scale: number): SqlType => ({ kind: "decimal", length: 0, precision, scale })
export const nvarchar = (length: number): SqlType => ({ kind: "nvarchar", length, precision: 0, scale: 0 })
export const varchar = (length: number): SqlType => ({ kind: "varchar", length, precision: 0, scale: 0 })
export const varbinary = (length: number): SqlType => ({ kind: "varbinary", length, precision: 0, scale: 0 })
export const time = (scale: number): SqlType => ({ kind: "time", length: 0, precision: 0, scale })
export const datetime2 = (scale: number): SqlType => ({ kind: "datetime2", length: 0, precision: 0, scale })
export const datetimeoffset = (scale: number): SqlType => ({ kind: "datetimeoffset", length: 0, precision: 0, scale })

export const isInteger = (type: SqlType): boolean =>
  type.kind === "bit" || type.kind === "tinyint" || type.kind === "smallint" || type.kind === "int" ||
  type.kind === "bigint"
export const isExact = (type: SqlType): boolean =>
  type.kind === "decimal" || type.kind === "money" || type.kind === "smallmoney"
export const isFloat = (type: SqlType): boolean => type.kind === "real" || type.kind === "float"
export const isNumeric = (type: SqlType): boolean => isInteger(type) || isExact(type) || isFloat(type)
export const isUnicode = (type: SqlType): boolean => type.kind === "nchar" || type.kind === "nvarchar"
export const isString = (type: SqlType): boolean => isUnicode(type) || type.kind === "char" || type.kind === "varchar"
export const isBinary = (type: SqlType): boolean => type.kind === "binary" || type.kind === "varbinary"
export const isTemporal = (type: SqlType): boolean =>
  type.kind === "date" || type.kind === "time" || type.kind === "datetime" || type.kind === "smalldatetime" ||
  type.kind === "datetime2" || type.kind === "datetimeoffset"

/** The type as T-SQL writes it. */
export const typeText = (type: SqlType): string => {
  if (isString(type) || isBinary(type)) return `${type.kind}(${type.length === -1 ? "max" : type.length})`
  if (type.kind === "decimal") return `decimal(${type.precision},${type.scale})`
  if (type.kind === "time" || type.kind === "datetime2" || type.kind === "datetimeoffset") {
    return `${type.kind}(${type.scale})`
  }
  return type.kind
}

const synonyms: Readonly<Record<string, string>> = {
  integer: "int",
  numeric: "decimal",
  dec: "decimal",
  "double precision": "float",
  character: "char",
  "char varying": "varchar",
  "character varying": "varchar",
  "national char": "nchar",
  sysname: "nvarchar(128)"
}

/** A type from its name and the arguments in parentheses. `declared`: a column or variable, where the default length is 1; else 30. */
export const makeType = (
  name: string,
  args: ReadonlyArray<number>,
  declared: boolean,
  line = 1
): SqlType => {
  const lower = name.toLowerCase()
  if (lower === "sysname") return nvarchar(128)
  const kind = synonyms[lower] ?? lower
  const [first, second] = args
  const bounded = (value: number, low: number, high: number, what: string): number => {
    if (value < low || value > high) {
      throw new TsqlError(1002, `Line ${line}: Specified ${what} ${value} is invalid.`, 15)
    }
    return value
  }
  const length = (max: number): number =>
    first === undefined ? (declared ? 1 : 30) : first === -1 ? -1 : bounded(first, 1, max, "length")
  switch (kind) {
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
    case "real":
    case "date":
    case "smalldatetime":
    case "uniqueidentifier":
      return simple(kind)
    case "datetime":
      return datetime
    case "money":
      return money
    case "smallmoney":
      return smallmoney
    case "float":
      return first !== undefined && bounded(first, 1, 53, "precision") <= 24 ? real : float
    case "decimal": {
      const precision = bounded(first ?? 18, 1, 38, "precision")
      return decimal(precision, bounded(second ?? 0, 0, precision, "scale"))
    }
    case "char":
    case "varchar":
    case "binary":
    case "varbinary":
      return { ...simple(kind), length: length(8000) }
    case "nchar":
    case "nvarchar":
      return { ...simple(kind), length: length(4000) }
    case "time":
    case "datetime2":
    case "datetimeoffset":
      return { ...simple(kind), scale: bounded(first ?? 7, 0, 7, "scale") }
    default:
      throw new TsqlError(2715, `Column, parameter, or variable: Cannot find data type ${name}.`, 16, 6, line)
  }
}

const typePattern = /^\s*([a-z]\w*(?:\s+[a-z]+)?)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$/i

/** The type that a text names, such as `nvarchar(max)`. */
export const parseTypeText = (text: string): SqlType => {
  const match = typePattern.exec(text)
  if (match === null) throw new TsqlError(102, `Incorrect syntax near '${text.trim()}'.`, 15)
  const args: Array<number> = []
  if (match[2] !== undefined) args.push(match[2].toLowerCase() === "max" ? -1 : Number(match[2]))
  if (match[3] !== undefined) args.push(Number(match[3]))
  return makeType(match[1]!, args, true)
}
