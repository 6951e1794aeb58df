/**
 * Schemas of columns: what databases give in different forms becomes the same value. A number of 64 bits is a string on PostgreSQL
 * and a number on SQLite; here it is a bigint.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Db, DbSchema } from "dblive"
 *
 * const Account = Schema.Struct({
 *   id: DbSchema.BigInt,
 *   balance: DbSchema.Decimal,
 *   active: DbSchema.Boolean,
 *   opened: DbSchema.DateTime,
 *   closed: Schema.NullOr(DbSchema.DateTime)
 * })
 *
 * const accounts = Db.query("SELECT id, balance, active, opened, closed FROM account", {}, { schema: Account })
 * const count = Db.scalar("SELECT count(*) FROM account", {}, { schema: DbSchema.Count })
 * ```
 *
 * @since 0.2.0
 */
import type * as VariantSchema from "@effect/experimental/VariantSchema"
import * as Model from "@effect/sql/Model"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime_ from "effect/DateTime"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"

/**
 * The schema of a column: `A` is the value, `I` what databases give and take, `J` what stands for it in JSON.
 *
 * @since 0.2.0
 * @category models
 */
export interface Column<A, I, J, R = never> extends Schema.Schema<A, I, R> {
  /** The schema of the same value in JSON, which has no bigint and no date. */
  readonly json: Schema.Schema<A, J, R>
}

const column = <A, I, J, R = never>(
  schema: Schema.Schema<A, I, R>,
  json: Schema.Schema<A, J, R>,
  identifier: string
): Column<A, I, J, R> => Object.assign(schema.annotations({ identifier: `DbSchema.${identifier}` }), { json })

/** A value in a form that no database gives it. */
const refused = (value: unknown, ast: AST.AST) => ParseResult.fail(new ParseResult.Type(ast, value))

const given = <A>(found: Option.Option<A>, value: unknown, ast: AST.AST) =>
  Option.isSome(found) ? ParseResult.succeed(found.value) : refused(value, ast)

/** An integer in each form. */
const Integer = Schema.Union(Schema.BigIntFromSelf, Schema.Number, Schema.String)

const digits = /^-?\d+$/

const toBigInt = (value: bigint | number | string): Option.Option<bigint> =>
  typeof value === "bigint" || (typeof value === "number" ? Number.isSafeInteger(value) : digits.test(value))
    ? Option.some(globalThis.BigInt(value))
    : Option.none()

/**
 * A whole number of 64 bits: `bigint`, `INTEGER` on SQLite. It is a bigint. In JSON it is a string of digits.
 *
 * @since 0.2.0
 * @category schemas
 */
export const BigInt: Column<bigint, bigint | number | string, string> = column(
  Schema.transformOrFail(Integer, Schema.BigIntFromSelf, {
    strict: true,
    decode: (value, _, ast) => given(toBigInt(value), value, ast),
    encode: ParseResult.succeed
  }),
  Schema.BigInt,
  "BigInt"
)

const toSafe = (value: bigint | number | string): Option.Option<number> =>
  Option.filter(Option.map(toBigInt(value), Number), Number.isSafeInteger)

const Safe = Schema.transformOrFail(Integer, Schema.Number, {
  strict: true,
  decode: (value, _, ast) => given(toSafe(value), value, ast),
  encode: ParseResult.succeed
})

/**
 * A whole number of any type of column, which has to be exact as a JavaScript number: from -(2^53 - 1) to 2^53 - 1.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Int: Column<number, bigint | number | string, number> = column(
  Schema.compose(Safe, Schema.Int),
  Schema.Int,
  "Int"
)

/**
 * What `count(*)` gives, or a `sum` of whole numbers that are not negative: a number from 0 to 2^53 - 1.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Count: Column<number, bigint | number | string, number> = column(
  Schema.compose(Safe, Schema.NonNegativeInt),
  Schema.NonNegativeInt,
  "Count"
)

/** More than any database keeps; without a limit a few characters of input, `1e999999999`, would become a text of as many. */
const mostZeros = 200_000

/** The text of a number without an exponent, which no database reads otherwise; `undefined` where it were too long. */
const plain = (decimal: BigDecimal.BigDecimal): string | undefined => {
  const { scale, value } = BigDecimal.normalize(decimal)
  if (Math.abs(scale) > mostZeros) {
    return undefined
  }
  const sign = value < 0n ? "-" : ""
  const all = `${value < 0n ? -value : value}${"0".repeat(Math.max(0, -scale))}`
  if (scale <= 0) {
    return sign + all
  }
  const padded = all.padStart(scale + 1, "0")
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`
}

const toDecimal = (value: bigint | number | string): Option.Option<BigDecimal.BigDecimal> =>
  Option.map(
    typeof value === "bigint"
      ? Option.some(BigDecimal.fromBigInt(value))
      : typeof value === "number"
      ? BigDecimal.safeFromNumber(value)
      : value.trim() === ""
      ? Option.none()
      : BigDecimal.fromString(value),
    BigDecimal.normalize
  )

/**
 * A decimal number with all its digits: `numeric`, `decimal`, `money` of SQL Server. It is a `BigDecimal` without trailing zeros, and is
 * written as text. SQLite keeps all digits in a column of type `TEXT` only: one of type `NUMERIC` keeps about 15.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Decimal: Column<BigDecimal.BigDecimal, bigint | number | string, string> = column(
  Schema.transformOrFail(Integer, Schema.BigDecimalFromSelf, {
    strict: true,
    decode: (value, _, ast) => given(toDecimal(value), value, ast),
    encode: (value, _, ast) => given(Option.fromNullable(plain(value)), value, ast)
  }),
  Schema.BigDecimal,
  "Decimal"
)

const toBoolean = (value: boolean | bigint | number | Uint8Array): Option.Option<boolean> => {
  // A BIT(1) of MySQL is a byte.
  const single = value instanceof Uint8Array ? value.length === 1 ? value[0] : undefined : value
  return single === true || single === 1 || single === 1n
    ? Option.some(true)
    : single === false || single === 0 || single === 0n
    ? Option.some(false)
    : Option.none()
}

/**
 * A truth value: `boolean`, `TINYINT(1)` and `BIT(1)` of MySQL, `bit` of SQL Server, 0 and 1 on SQLite.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Boolean: Column<boolean, boolean | bigint | number | Uint8Array, boolean> = column(
  Schema.transformOrFail(
    Schema.Union(Schema.Boolean, Schema.BigIntFromSelf, Schema.Number, Schema.Uint8ArrayFromSelf),
    Schema.Boolean,
    {
      strict: true,
      decode: (value, _, ast) => given(toBoolean(value), value, ast),
      encode: ParseResult.succeed
    }
  ),
  Schema.Boolean,
  "Boolean"
)

/** A date, or date and time, as SQL and ISO 8601 write it; without an offset it is in UTC. */
const moment = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.]\d+)?)?) ?(?:Z|([+-]\d\d)(?::?(\d\d))?)?)?$/i

const toDateTime = (value: globalThis.Date | string): Option.Option<DateTime_.Utc> => {
  if (typeof value !== "string") {
    return DateTime_.make(value)
  }
  const [, day, time = "00:00", hours, minutes = "00"] = moment.exec(value) ?? []
  // JavaScript reads the 30th of February as the 2nd of March.
  return day === undefined || new globalThis.Date(`${day}T00:00Z`).getUTCDate() !== Number(day.slice(-2))
    ? Option.none()
    : DateTime_.make(`${day}T${time}${hours === undefined ? "Z" : `${hours}:${minutes}`}`)
}

/**
 * A moment: `timestamptz`, `DATETIME`, `datetime2`, `datetimeoffset`; text in ISO 8601 or of `CURRENT_TIMESTAMP` on SQLite, which is in UTC
 * where it says nothing else. It is a `DateTime.Utc` of milliseconds; what is finer is dropped.
 *
 * @since 0.2.0
 * @category schemas
 */
export const DateTime: Column<DateTime_.Utc, globalThis.Date | string, string> = column(
  Schema.transformOrFail(Schema.Union(Schema.DateFromSelf, Schema.String), Schema.DateTimeUtcFromSelf, {
    strict: true,
    decode: (value, _, ast) => given(toDateTime(value), value, ast),
    encode: (value) => ParseResult.succeed(DateTime_.toDate(value))
  }),
  Schema.DateTimeUtc,
  "DateTime"
)

/** What JSON has for an object or an array: a moment is a text there, and bytes are none of both. */
const isDocument = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !(value instanceof globalThis.Date) && !ArrayBuffer.isView(value)

/** The text of an object or an array; `undefined` where an object makes of itself what is neither. */
const documentText = (value: object): string | undefined => {
  const text: string | undefined = JSON.stringify(value)
  return text?.startsWith("{") === true || text?.startsWith("[") === true ? text : undefined
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A document as databases give it: read already, or as text. */
const Document = Schema.transformOrFail(Schema.Unknown, Schema.Unknown, {
  strict: true,
  decode: (value, _, ast) => {
    const document = typeof value === "string" ? parse(value) : value
    return isDocument(document) ? ParseResult.succeed(document) : refused(value, ast)
  },
  encode: (value, _, ast) => {
    if (!isDocument(value)) {
      return refused(value, ast)
    }
    try {
      return given(Option.fromNullable(documentText(value)), value, ast)
    } catch {
      // A circle, or a bigint: the schema has to encode to JSON.
      return refused(value, ast)
    }
  }
})

/**
 * A document: `json`, `jsonb`, `JSON`; text on SQLite and SQL Server. The schema says what is in it, and has to encode to what JSON can
 * hold: an object or an array, because a text alone could not be told from the text of a document. It is written as text.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Json = <A, I, R>(schema: Schema.Schema<A, I, R>): Column<A, unknown, I, R> =>
  column(
    // What the schema is given is a document; whether it is the one that it describes, it says itself.
    Schema.compose(Document, schema as unknown as Schema.Schema<A, unknown, R>, { strict: false }),
    schema,
    "Json"
  )

/**
 * A field of `Model` for a column: the column's schema in the database's variants, its schema of JSON in those of JSON.
 *
 * @example
 * ```ts
 * import { Model } from "@effect/sql"
 * import { Schema } from "effect"
 * import { DbSchema } from "dblive"
 *
 * class Account extends Model.Class<Account>("Account")({
 *   id: DbSchema.generated(DbSchema.BigInt),
 *   balance: DbSchema.field(DbSchema.Decimal),
 *   settings: DbSchema.field(DbSchema.Json(Schema.Struct({ theme: Schema.String })))
 * }) {}
 * ```
 *
 * @since 0.2.0
 * @category models
 */
export const field = <A, I, J, R>(
  column: Column<A, I, J, R>
): VariantSchema.Field<{
  readonly select: Column<A, I, J, R>
  readonly insert: Column<A, I, J, R>
  readonly update: Column<A, I, J, R>
  readonly json: Schema.Schema<A, J, R>
  readonly jsonCreate: Schema.Schema<A, J, R>
  readonly jsonUpdate: Schema.Schema<A, J, R>
}> =>
  Model.Field({
    select: column,
    insert: column,
    update: column,
    json: column.json,
    jsonCreate: column.json,
    jsonUpdate: column.json
  })

/**
 * A field of `Model` for a column whose value the database generates: it is in no insert.
 *
 * @since 0.2.0
 * @category models
 */
export const generated = <A, I, J, R>(
  column: Column<A, I, J, R>
): VariantSchema.Field<{
  readonly select: Column<A, I, J, R>
  readonly update: Column<A, I, J, R>
  readonly json: Schema.Schema<A, J, R>
}> => Model.Field({ select: column, update: column, json: column.json })
