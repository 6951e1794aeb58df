/**
 * The history table: made where it is missing, read and written in the shape it has. It can be dblive's own, that of
 * Flyway (`flyway_schema_history`), or that of Flyway 3 (`schema_version`, one row per version).
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Dialect } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import { compareVersions } from "./Name.js"
import type { Row } from "./State.js"

/** The table that Flyway uses when it is not told otherwise. */
export const flywayTable = "flyway_schema_history"

/** A table as it was found. */
export interface Shape {
  readonly exists: boolean
  /** It has the column `version_rank`. */
  readonly versionRank: boolean
  /** `version` may not be NULL, as in Flyway 3: one row per version, no repeatable migrations. */
  readonly oneRowPerVersion: boolean
  /** Columns it would need and does not have. */
  readonly lacks: ReadonlyArray<string>
}

/** The history table of one database, on one connection. */
export interface History {
  /** As it is written in SQL. */
  readonly quoted: string
  readonly shape: Effect.Effect<Shape, SqlError>
  readonly create: Effect.Effect<void, SqlError>
  readonly rows: Effect.Effect<ReadonlyArray<Row>, SqlError>
  readonly insert: (row: NewRow, rows: ReadonlyArray<Row>, shape: Shape) => Effect.Effect<void, SqlError>
  readonly update: (installedRank: number, change: Change) => Effect.Effect<void, SqlError>
  readonly remove: (installedRank: number) => Effect.Effect<void, SqlError>
}

/** A row to be written; the database fills in `installed_on`. */
export type NewRow = Omit<Row, "installedOn" | "installedBy"> & { readonly installedBy: string | undefined }

/** What may change in a row. */
export type Change = Partial<Pick<Row, "description" | "checksum" | "executionTime" | "success">>

const columns = [
  "installed_rank",
  "version",
  "description",
  "type",
  "script",
  "checksum",
  "installed_by",
  "installed_on",
  "execution_time",
  "success"
]

/** A table, and where it is; `undefined`: wherever the database looks first. */
export interface Table {
  readonly schema: string | undefined
  readonly name: string
}

/** Reads `name` or `schema.name`. */
export const parse = (table: string): Table => {
  const dot = table.indexOf(".")
  return dot < 0 ? { schema: undefined, name: table } : { schema: table.slice(0, dot), name: table.slice(dot + 1) }
}

/**
 * Looks where the table is, or would be made: its name with its place, which does not depend on the session any more.
 */
export const locate = (
  client: SqlClient.SqlClient,
  dialect: Dialect,
  table: Table
): Effect.Effect<Table, SqlError> => {
  const sql = client.withoutTransforms()
  const at = (schema: string | null | undefined): Table => ({ ...table, schema: table.schema ?? schema ?? undefined })
  switch (dialect) {
    case "pg":
      return Effect.map(
        sql<{ place: string | null }>`SELECT COALESCE(
          (SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = to_regclass(${quote(dialect, table)})), current_schema()) AS place`,
        ([row]) => at(row!.place)
      )
    case "mysql":
      return Effect.map(sql<{ place: string | null }>`SELECT DATABASE() AS place`, ([row]) => at(row!.place))
    case "sqlite":
    case "mssql":
    case "clickhouse":
      return Effect.succeed(table)
  }
}

const quoteWith: Record<Dialect, (name: string) => string> = {
  pg: (name) => `"${name.replaceAll("\"", "\"\"")}"`,
  sqlite: (name) => `"${name.replaceAll("\"", "\"\"")}"`,
  mysql: (name) => `\`${name.replaceAll("`", "``")}\``,
  mssql: (name) => `[${name.replaceAll("]", "]]")}]`,
  clickhouse: (name) => `"${name.replaceAll("\"", "\\\"")}"`
}

/** The table's name as it is written in the SQL of a dialect. */
export const quote = (dialect: Dialect, table: Table): string =>
  [table.schema, table.name].filter((part) => part !== undefined).map(quoteWith[dialect]).join(".")

interface DialectSql {
  readonly text: string
  readonly integer: string
  readonly boolean: string
  readonly now: string
  readonly user: string
  /** A timestamp as text, so that no driver changes it. */
  readonly asText: (column: string) => string
}

const varchar = "VARCHAR"

const dialects: Record<Dialect, DialectSql> = {
  pg: {
    text: varchar,
    integer: "INTEGER",
    boolean: "BOOLEAN",
    now: "TIMESTAMP NOT NULL DEFAULT now()",
    user: "current_user",
    asText: (column) => `CAST(${column} AS VARCHAR)`
  },
  sqlite: {
    text: varchar,
    integer: "INTEGER",
    boolean: "BOOLEAN",
    now: "TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now'))",
    user: "''",
    asText: (column) => `CAST(${column} AS TEXT)`
  },
  mysql: {
    text: varchar,
    integer: "INT",
    boolean: "BOOL",
    now: "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
    user: "CURRENT_USER()",
    asText: (column) => `CAST(${column} AS CHAR)`
  },
  mssql: {
    text: "NVARCHAR",
    integer: "INT",
    boolean: "BIT",
    now: "DATETIME NOT NULL DEFAULT GETDATE()",
    user: "SUSER_SNAME()",
    asText: (column) => `CONVERT(VARCHAR(33), ${column}, 126)`
  },
  clickhouse: {
    text: varchar,
    integer: "INTEGER",
    boolean: "BOOLEAN",
    now: "TIMESTAMP NOT NULL DEFAULT now()",
    user: "currentUser()",
    asText: (column) => `CAST(${column} AS VARCHAR)`
  }
}

const isTrue = (value: unknown): boolean => value === true || String(value) === "1" || String(value) === "t"

const optional = (value: unknown): string | undefined =>
  value === null || value === undefined ? undefined : String(value)

interface Column {
  readonly name: string
  readonly required: unknown
}

/** The columns of a table, of one that is not there none. */
const columnsOf = (
  sql: SqlClient.SqlClient,
  dialect: Dialect,
  table: Table
): Effect.Effect<ReadonlyArray<Column>, SqlError> => {
  const { name: base, schema } = table
  switch (dialect) {
    case "pg":
      return sql<Column>`SELECT attname AS name, attnotnull AS required
        FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass(${quote(dialect, table)}) AND attnum > 0 AND NOT attisdropped`
    case "sqlite":
      return schema === undefined
        ? sql<Column>`SELECT name, "notnull" AS required FROM pragma_table_info(${base})`
        : sql<Column>`SELECT name, "notnull" AS required
            FROM pragma_table_info(${base}, ${schema})`
    case "mssql":
      return sql<Column>`SELECT name, CASE WHEN is_nullable = 1 THEN 0 ELSE 1 END AS required
        FROM sys.columns WHERE object_id = OBJECT_ID(${quote(dialect, table)})`
    case "mysql":
    case "clickhouse":
      return sql<Column>`SELECT column_name AS name,
        CASE WHEN is_nullable = 'NO' THEN 1 ELSE 0 END AS required FROM information_schema.columns
        WHERE table_schema = COALESCE(${schema ?? null}, DATABASE()) AND table_name = ${base}`
  }
}

const shapeOf = (found: ReadonlyArray<Column>): Shape => {
  const required = new Map(found.map((column) => [column.name.toLowerCase(), isTrue(column.required)]))
  return {
    exists: found.length > 0,
    versionRank: required.has("version_rank"),
    oneRowPerVersion: required.get("version") === true,
    lacks: columns.filter((column) => !required.has(column))
  }
}

const createText = (dialect: Dialect, table: Table): string => {
  const quoted = quote(dialect, table)
  const own = dialects[dialect]
  // Flyway's own table keeps Flyway's shape, so that either of the two can go on with it.
  const isFlyway = table.name.toLowerCase() === flywayTable
  return `CREATE TABLE ${quoted} (
  ${isFlyway ? "" : `version_rank ${own.integer},\n  `}installed_rank ${own.integer} NOT NULL PRIMARY KEY,
  version ${own.text}(50),
  description ${own.text}(200) NOT NULL,
  type ${own.text}(20) NOT NULL,
  script ${own.text}(1000) NOT NULL,
  checksum ${own.integer},
  installed_by ${own.text}(100) NOT NULL,
  installed_on ${own.now},
  execution_time ${own.integer} NOT NULL,
  success ${own.boolean} NOT NULL
)`
}

const rowOf = (row: Readonly<Record<string, unknown>>): Row => ({
  installedRank: Number(row["installed_rank"]),
  version: optional(row["version"]),
  description: String(row["description"]),
  type: String(row["type"]),
  script: String(row["script"]),
  checksum: row["checksum"] === null || row["checksum"] === undefined ? undefined : Number(row["checksum"]),
  installedBy: String(row["installed_by"]),
  installedOn: String(row["installed_on"]),
  executionTime: Number(row["execution_time"]),
  success: isTrue(row["success"])
})

/** The place of a version among those that are known. */
const rankOf = (version: string | undefined, known: ReadonlyArray<Row>): number =>
  version === undefined
    ? known.length + 1
    : 1 + known.filter((other) => other.version !== undefined && compareVersions(other.version, version) < 0).length

/** The history table of the database behind `client`. */
export const make = (client: SqlClient.SqlClient, dialect: Dialect, table: Table): History => {
  const sql = client.withoutTransforms()
  const quoted = quote(dialect, table)
  const name = sql.literal(quoted)
  const own = dialects[dialect]

  const rows = Effect.map(
    sql<Record<string, unknown>>`SELECT installed_rank, version, description, type, script, checksum, installed_by,
      ${sql.literal(own.asText("installed_on"))} AS installed_on, execution_time, success
      FROM ${name} ORDER BY installed_rank`,
    (rows) => rows.map(rowOf)
  )

  // 1 and 0 where the database's own word for a truth value would not pass through every driver.
  const truth = (isOn: boolean) => sql.literal(dialect === "pg" ? String(isOn).toUpperCase() : isOn ? "1" : "0")
  const nullable = (value: string | number | undefined) => value ?? null

  const insert = (row: NewRow, known: ReadonlyArray<Row>, shape: Shape) => {
    const by = row.installedBy === undefined ? sql.literal(own.user) : sql`${row.installedBy.slice(0, 100)}`
    const values = sql`${row.installedRank}, ${nullable(row.version)}, ${row.description}, ${row.type}, ${row.script},
      ${nullable(row.checksum)}, ${by}, ${Math.round(row.executionTime)}, ${truth(row.success)}`
    const names = "installed_rank, version, description, type, script, checksum, installed_by, execution_time, success"
    if (!shape.versionRank) {
      return Effect.asVoid(sql`INSERT INTO ${name} (${sql.literal(names)}) VALUES (${values})`)
    }
    const rank = rankOf(row.version, known)
    return Effect.zipRight(
      sql`UPDATE ${name} SET version_rank = version_rank + 1 WHERE version_rank >= ${rank}`,
      Effect.asVoid(sql`INSERT INTO ${name} (version_rank, ${sql.literal(names)}) VALUES (${rank}, ${values})`)
    )
  }

  const update = (installedRank: number, change: Change) => {
    const sets = [
      ...(change.description === undefined ? [] : [sql`description = ${change.description}`]),
      ...("checksum" in change ? [sql`checksum = ${nullable(change.checksum)}`] : []),
      ...(change.executionTime === undefined ? [] : [sql`execution_time = ${Math.round(change.executionTime)}`]),
      ...(change.success === undefined ? [] : [sql`success = ${truth(change.success)}`])
    ]
    return Effect.asVoid(sql`UPDATE ${name} SET ${sql.csv(sets)} WHERE installed_rank = ${installedRank}`)
  }

  const remove = (installedRank: number) =>
    Effect.asVoid(sql`DELETE FROM ${name} WHERE installed_rank = ${installedRank}`)

  return {
    quoted,
    shape: Effect.map(Effect.suspend(() => columnsOf(sql, dialect, table)), shapeOf),
    create: Effect.asVoid(sql.unsafe(createText(dialect, table)).unprepared),
    rows,
    insert,
    update,
    remove
  }
}
