/**
 * The tables of the database that statements are checked against.
 */
import type { Dialect } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { DbError } from "../../DbError.js"
import type { DescribedColumn, Description } from "../../driver/Driver.js"

/** A database that can be asked. */
export interface Asked {
  readonly dialect: Dialect
  readonly describe: (text: string) => Effect.Effect<Description, DbError>
  /** The rows of a statement, as arrays. */
  readonly rows: (text: string) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, DbError>
  /** The names of columns as the program sees them. */
  readonly transformName: (name: string) => string
}

/** A column of a table. */
export interface Column {
  readonly written: string | undefined
  readonly notNull: boolean
}

/** All tables, by their names in small letters, with their columns by theirs. */
export interface Catalog {
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, Column>>
  readonly views: ReadonlySet<string>
  /** The table and the column that an answer's column comes from. */
  readonly find: (origin: NonNullable<DescribedColumn["origin"]>) => {
    readonly table: string
    readonly notNull: boolean
  }
}

/** Table, column, whether it is NOT NULL, whether the table is a view; and what the protocol calls table and column. */
const questions: Partial<Record<Dialect, string>> = {
  pg: "SELECT c.relname, a.attname, a.attnotnull, c.relkind IN ('v', 'm'), a.attrelid::int8, a.attnum " +
    "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid " +
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
    "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'v', 'm') " +
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')",
  // A column that is the row's number is never NULL, other keys may be.
  sqlite: "SELECT m.name, p.name, p.\"notnull\" OR (p.pk > 0 AND upper(p.type) = 'INTEGER' AND " +
    "(SELECT count(*) FROM pragma_table_xinfo(m.name) k WHERE k.pk > 0) = 1), m.type = 'view', m.name, p.name " +
    "FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) p WHERE m.type IN ('table', 'view')",
  mysql:
    "SELECT c.table_name, c.column_name, c.is_nullable = 'NO', t.table_type <> 'BASE TABLE', c.table_name, c.column_name " +
    "FROM information_schema.columns c JOIN information_schema.tables t " +
    "ON t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE c.table_schema = database()"
}

const quoted = (name: string, dialect: Dialect): string =>
  dialect === "mysql" ? `\`${name.replaceAll("`", "``")}\`` : `"${name.replaceAll("\"", "\"\"")}"`

/** What can be written to each column of a table, by the column's name in small letters. None of a view that is broken. */
const writtenTo = (asked: Asked, table: string) =>
  Effect.map(
    Effect.orElseSucceed(
      asked.describe(`SELECT * FROM ${quoted(table, asked.dialect)}`),
      (): Description => ({ parameters: [], columns: undefined })
    ),
    ({ columns = [] }) => new Map(columns.map(({ name, written }) => [name.toLowerCase(), written]))
  )

/** Reads the catalog. */
export const readCatalog = (asked: Asked): Effect.Effect<Catalog, DbError> =>
  Effect.gen(function*() {
    const rows = yield* asked.rows(questions[asked.dialect] ?? "SELECT 1 WHERE 1 = 0")
    const tables = new Map<string, Map<string, Column>>()
    const views = new Set<string>()
    const origins = new Map<string, { readonly table: string; readonly notNull: boolean }>()
    // PostgreSQL says itself what a parameter takes.
    const types = new Map<string, ReadonlyMap<string, string | undefined>>()
    if (asked.dialect !== "pg") {
      for (const name of new Set(rows.map(([table]) => String(table)))) {
        types.set(name, yield* writtenTo(asked, name))
      }
    }
    for (const [tableName, columnName, notNull, isView, ...numbers] of rows) {
      const table = String(tableName).toLowerCase()
      const column = String(columnName).toLowerCase()
      const columns = tables.get(table) ?? new Map<string, Column>()
      tables.set(table, columns)
      // Numbers or booleans, as the database has them.
      const isNotNull = Number(notNull) === 1
      const before = columns.get(column)
      columns.set(column, {
        written: types.get(String(tableName))?.get(column),
        // In several schemas there may be tables of one name.
        notNull: isNotNull && before?.notNull !== false
      })
      if (Number(isView) === 1) views.add(table)
      origins.set(numbers.map(String).join("\0"), { table, notNull: isNotNull })
    }
    return {
      tables,
      views,
      find: ({ column, table }) =>
        origins.get(`${table}\0${column}`) ?? { table: String(table).toLowerCase(), notNull: false }
    }
  })
