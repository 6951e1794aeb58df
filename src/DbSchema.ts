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
import type * as BigDecimal from "effect/BigDecimal"
import * as DateTime_ from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { composed, transformed } from "./internal/effect/schema.js"
import {
  decimalText,
  documentText,
  toBigInt,
  toBoolean,
  toDateTime,
  toDecimal,
  toDocument,
  toSafe
} from "./internal/schema/columnValues.js"

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

/** An integer in each form. */
const Integer = Schema.Union(Schema.BigIntFromSelf, Schema.Number, Schema.String)

/**
 * A whole number of 64 bits: `bigint`, `INTEGER` on SQLite. It is a bigint. In JSON it is a string of digits.
 *
 * @since 0.2.0
 * @category schemas
 */
export const BigInt: Column<bigint, bigint | number | string, string> = column(
  transformed(Integer, Schema.BigIntFromSelf, toBigInt, Option.some),
  Schema.BigInt,
  "BigInt"
)

/**
 * A whole number of any type of column, which has to be exact as a JavaScript number: from -(2^53 - 1) to 2^53 - 1.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Int: Column<number, bigint | number | string, number> = column(
  transformed(Integer, Schema.Int, toSafe, Option.some),
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
  transformed(Integer, Schema.NonNegativeInt, toSafe, Option.some),
  Schema.NonNegativeInt,
  "Count"
)

/**
 * A decimal number with all its digits: `numeric`, `decimal`, `money` of SQL Server. It is a `BigDecimal` without trailing zeros, and is
 * written as text. SQLite keeps all digits in a column of type `TEXT` only: one of type `NUMERIC` keeps about 15.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Decimal: Column<BigDecimal.BigDecimal, bigint | number | string, string> = column(
  transformed(Integer, Schema.BigDecimalFromSelf, toDecimal, decimalText),
  Schema.BigDecimal,
  "Decimal"
)

/**
 * A truth value: `boolean`, `TINYINT(1)` and `BIT(1)` of MySQL, `bit` of SQL Server, 0 and 1 on SQLite.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Boolean: Column<boolean, boolean | bigint | number | Uint8Array, boolean> = column(
  transformed(
    Schema.Union(Schema.Boolean, Schema.BigIntFromSelf, Schema.Number, Schema.Uint8ArrayFromSelf),
    Schema.Boolean,
    toBoolean,
    Option.some
  ),
  Schema.Boolean,
  "Boolean"
)

/**
 * A moment: `timestamptz`, `DATETIME`, `datetime2`, `datetimeoffset`; text in ISO 8601 or of `CURRENT_TIMESTAMP` on SQLite, which is in UTC
 * where it says nothing else. It is a `DateTime.Utc` of milliseconds; what is finer is dropped.
 *
 * @since 0.2.0
 * @category schemas
 */
export const DateTime: Column<DateTime_.Utc, globalThis.Date | string, string> = column(
  transformed(
    Schema.Union(Schema.DateFromSelf, Schema.String),
    Schema.DateTimeUtcFromSelf,
    toDateTime,
    (value) => Option.some(DateTime_.toDate(value))
  ),
  Schema.DateTimeUtc,
  "DateTime"
)

/** A document as databases give it: read already, or as text. */
const Document = transformed<unknown, unknown>(Schema.Unknown, Schema.Unknown, toDocument, documentText)

/**
 * A document: `json`, `jsonb`, `JSON`; text on SQLite and SQL Server. The schema says what is in it, and has to encode to what JSON can
 * hold: an object or an array, because a text alone could not be told from the text of a document. It is written as text.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Json = <A, I, R>(schema: Schema.Schema<A, I, R>): Column<A, unknown, I, R> =>
  column(composed(Document, schema), schema, "Json")

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
